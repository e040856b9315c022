"""The interface of every attention MIL model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.mil.normalizers import log_normalize, normalize

SOFTMAX = Normalizer()
EVIDENCE_CHUNK = 4096


class Scored(NamedTuple):
    """What a scorer says of M tiles.

    Attributes
    ----------
    h : Tensor (M, D)
        Embeddings.
    z : Tensor (K, M)
        Scores before any normaliser, float32 whatever the autocast state.
    valid : Tensor bool (K, M), optional
        Tiles that take part in this step; all do where it is None. Only training ever leaves tiles out.
    context : optional
        What another scorer needs to score the same rows (DSMIL: the critical tiles).
    """

    h: Tensor
    z: Tensor
    valid: Tensor | None = None
    context: Any = None


class Output(NamedTuple):
    """What a model says of one bag.

    Attributes
    ----------
    logits : Tensor (C,)
    alpha : Tensor (K, M)
        Probabilities over tiles by `normalizer`; a loss on maps takes `log_alpha`, alpha need not carry a gradient.
    scored : Scored
    bag : Tensor (D,)
        The vector that is classified.
    normalizer : Normalizer
    own : optional
        What the method's own loss needs besides.
    log_map : Tensor (K, M), optional
        Log-probabilities the model pooled with, where that is not the normaliser of its scores (TransMIL).
    """

    logits: Tensor
    alpha: Tensor
    scored: Scored
    bag: Tensor
    normalizer: Normalizer
    own: Any = None
    log_map: Tensor | None = None

    @property
    def z(self) -> Tensor:
        """Scores (K, M)."""
        return self.scored.z

    @property
    def log_alpha(self) -> Tensor:
        """Log-probabilities (K, M) by the normaliser; -inf where a tile does not take part."""
        return log_normalize(masked(self.scored), self.normalizer)

    @property
    def log_rows(self) -> Tensor:
        """Log of the K maps (K, M) that the model used."""
        return self.log_alpha if self.log_map is None else self.log_map


class Scorer(nn.Module):
    """Everything upstream of the scores, and what an anchor copies; `row_names` names the K rows."""

    row_names: tuple[str, ...]

    def embed(self, x: Tensor) -> Tensor:
        """Prepared tiles (M, D_in) to h (M, D)."""
        raise NotImplementedError

    def score(self, h: Tensor, context: Any = None) -> Scored:
        """Embeddings (M, D) to scores; `context` is the `Scored.context` of another scorer of the same method."""
        raise NotImplementedError

    def scores(self, x: Tensor, context: Any = None) -> Tensor:
        """The scores (K, M) of tiles (M, D_in) alone."""
        return self(x, context).z  # type: ignore[no-any-return]

    def forward(self, x: Tensor, context: Any = None) -> Scored:
        """Embed and score the tiles (M, D_in)."""
        return self.score(self.embed(x), context)


class AttentionMIL(nn.Module):
    """embed -> scores z (K, M) -> normalise -> pool -> classify; the normaliser is an argument.

    A method with one embedding and one pooling gives `pool` and `classify`; others give `attend` too.

    Parameters
    ----------
    scorer : Scorer
        Embeds and scores the tiles.
    n_features, n_classes : int
        D_in and C.
    bag_size : int
        D, length of the bag vector.
    """

    learns_scores: ClassVar[bool] = True
    """False where there is no score to steady: no anchor, entropy or ensembling then."""
    row_join: ClassVar[str] = "mean"
    """How the K rows become one map, in words."""
    map_words: ClassVar[str] = ""
    """What the map as stored is, where it is not the normaliser of the scores."""
    source: ClassVar[str] = ""
    """The paper the method is from."""
    paper: ClassVar[Mapping[str, Any]] = {}
    """Fields of a recipe as that paper has them, for the preset of that name."""

    scorer: Scorer
    mean: Tensor
    scale: Tensor

    def __init__(self, scorer: Scorer, n_features: int, n_classes: int, bag_size: int) -> None:
        super().__init__()
        self.scorer = scorer
        self.n_features = n_features
        self.n_classes = n_classes
        self.bag_size = bag_size
        self.standardizes = False
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.register_load_state_dict_post_hook(_standardizes_as_loaded)  # type: ignore[no-untyped-call]

    def standardize_with(self, mean: Tensor, scale: Tensor) -> None:
        """Subtract `mean` and multiply by `scale`, both (D_in,), before anything else; part of the weights."""
        self.standardizes = True
        self.mean.copy_(mean)
        self.scale.copy_(scale)

    def prepare(self, x: Tensor) -> Tensor:
        """Raw features (M, D_in) as the scorer, online or anchor, wants them."""
        x = x.to(self.mean.dtype)
        return (x - self.mean) * self.scale if self.standardizes else x

    def pool(self, h: Tensor, alpha: Tensor) -> Tensor:
        """Embeddings (M, D) and probabilities (K, M) to the bag vector (D,)."""
        raise NotImplementedError

    def classify(self, bag: Tensor) -> Tensor:
        """Bag vector (D,) to logits (C,)."""
        raise NotImplementedError

    def loss(self, out: Output, label: Tensor) -> Tensor:
        """The method's own supervised loss of one bag, with its auxiliary terms; `label` is a scalar tensor."""
        return functional.cross_entropy(out.logits[None], label[None])

    def row_weights(self, logits: Tensor) -> Tensor:
        """Weights (K,) that join the rows to one map; the mean unless a method says otherwise."""
        rows = len(self.scorer.row_names)
        return torch.full((rows,), 1 / rows, device=logits.device)

    def forward(self, x: Tensor, normalizer: Normalizer = SOFTMAX) -> Output:
        """One bag of raw features (M, D_in)."""
        return self.attend(self.prepare(x), normalizer)

    def attend(self, prepared: Tensor, normalizer: Normalizer = SOFTMAX, label: Tensor | None = None) -> Output:
        """One bag of features that `prepare` has seen; `label` where training lets a method know it."""
        scored = self.scorer(prepared)
        alpha = normalize(masked(scored), normalizer)
        bag = self.pool(scored.h, alpha.to(scored.h.dtype))
        return Output(self.classify(bag), alpha, scored, bag, normalizer)

    @torch.no_grad()
    def evidence(self, prepared: Tensor) -> Tensor:
        """Logits (M, C) of each tile as if it were the whole bag: a second map, in evaluation mode.

        On some data the better localiser. The embedding is that of the whole bag; a tile pooled alone has
        probability 1 in every row.
        """
        was, _ = self.training, self.eval()
        try:
            h = self.scorer(prepared).h
            alone = torch.ones(len(self.scorer.row_names), 1, device=h.device, dtype=h.dtype)
            one = torch.func.vmap(lambda tile: self.classify(self.pool(tile[None], alone)), chunk_size=EVIDENCE_CHUNK)
            logits: Tensor = one(h)
        finally:
            self.train(was)
        return logits


def _standardizes_as_loaded(model: Any, _: Any) -> None:
    model.standardizes = bool(model.mean.any() or (model.scale != 1).any())


def masked(scored: Scored) -> Tensor:
    """Scores (K, M) with -inf where a tile does not take part."""
    return scored.z if scored.valid is None else scored.z.masked_fill(~scored.valid, -torch.inf)


def join_rows(log_alpha: Tensor, weights: Tensor) -> Tensor:
    """One log map (M,) from rows (K, M) and weights (K,) that sum to 1."""
    return torch.logsumexp(log_alpha + weights.log()[:, None], dim=0)

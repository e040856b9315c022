"""Limits that the product is held to, measured: `./dev bench [NAME...]`."""

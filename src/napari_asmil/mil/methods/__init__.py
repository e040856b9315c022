"""One file a method, named as the method; its class `Model` is what `build_model` makes."""

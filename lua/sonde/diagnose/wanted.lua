-- What the detectors look at: the variables of each group of a history or a file, where it has them.
return {
  variables = {
    metrics = { "loss", "grad_norm", "lr" },
    weight_grad = { "l2_norm", "n_nonfinite" },
    activation_grad = { "l2_norm", "n_nonfinite" },
    activation = { "l2_norm", "mean", "std", "slope_rms", "saturated_frac", "dead_frac", "idle_frac", "sample_cosine",
                   "n_nonfinite" },
    weight = { "l2_norm", "update_l2_norm", "update_ratio" },
    hidden_jacobian = { "l2_norm", "cell_l2_norm", "length" },
    gate = { "openness" },
  },
  coordinates = { "probe", "layer", "module", "role", "depth", "n_elements" },
}

-- Where each detector draws its line, and why there. All are relative: to the other layers, to the run's own first
-- rows, to the arithmetic. Any can be overridden: sonde diagnose FILE --threshold name=value.
return {
  -- Decades the gradient loses between the upper and the lower hidden layers. Two: the lower layers learn a hundred
  -- times more slowly. Glorot's tanh nets lose half a decade in ten layers and train; 0.24 per layer (sigmoid) takes
  -- four layers to get here.
  vanishing_decades = 2.0,
  -- The same upwards; either with this slope per layer or so much in all. Batch normalisation alone gives 0.083
  -- decades per ReLU layer at the start (sqrt(pi/(pi - 1)); Yang et al. 2019) and trains up to some forty layers.
  exploding_decades = 2.0, exploding_slope = 0.1, exploding_total = 3.5,
  -- Factor by which the norm of the gradient exceeds both its first rows' and its usual size.
  exploding_growth = 100.0,
  -- Share of a layer's units without any slope over 2000 samples: SageMaker Debugger's rule "more than half".
  dead_share = 0.5,
  -- Share of outputs with less than 5 % of the largest slope; or: slope_rms down to this share of the largest slope
  -- and to half of the run's first row while the loss stands still (Glorot & Bengio 2010, figure 2).
  saturated_share = 0.5, saturated_slope = 0.3, saturated_fall = 0.5,
  -- Share by which the loss must have fallen from its first rows, or be falling still, to count as progress.
  progress_share = 0.03,
  -- Decades between the relative updates of one weight matrix and the middle of all (rule of thumb: 1e-3 for each).
  unbalanced_decades = 2.0,
  -- Through time: the memory horizon (steps until the Jacobian is down to 1e-3) as a share of the sequence; decades
  -- of growth over the sequence.
  memory_share = 0.5, growth_decades = 3.0,
  -- Hysteresis: a condition begins after so many rows, and counts in the end if it held for so much of the run.
  hold = 3, share = 0.25,
}

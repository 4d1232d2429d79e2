-- Where each detector draws its line, and why there. All are relative: to the other layers, to the run's own first
-- rows, to the arithmetic. Any can be overridden: sonde diagnose FILE --threshold name=value.
return {
  -- Decades the gradient loses between the upper and the lower hidden layers. Two: the lower layers learn a hundred
  -- times more slowly. Glorot's tanh nets lose half a decade in ten layers and train; 0.24 per layer (sigmoid) takes
  -- four layers to get here.
  -- From the first row on it counts if it delayed a tenth of the run (P31 of Xavier's weights under ReLU: some escape).
  vanishing_decades = 2.0, delay_share = 0.1,
  -- The same upwards, from a factor of 70 (AUTOTRAINER) with this slope per layer, or so much in all. Batch
  -- normalisation alone gives 0.083 decades per ReLU layer at the start (sqrt(pi/(pi - 1)); Yang et al. 2019) and
  -- trains up to some forty layers: where there is normalisation the slope must be larger.
  exploding_decades = 1.85, exploding_slope = 0.05, normalised_slope = 0.1, exploding_total = 3.5,
  -- Through time: how many times the memory horizon (steps until a thousandth of a change is left) the sequence is
  -- long; a third of it and more is then out of reach. It counts where nothing is learnt: the loss stands still, or the
  -- outputs tell samples apart by so little in units of the error (diagnose/output.lua; of squares: 6 % of the variance
  -- explained). Adding, copying and temporal order give 0.02 to 0.3 before they are learnt, what is learnt 1 and more.
  memory_horizon = 1.5, blind = 0.5,
  -- Decades that a change of the state gains on its way through the sequence: a hundredfold.
  exploding_time = 2.0,
  -- Factor by which the norm of the gradient exceeds both its first rows' and its usual size.
  exploding_growth = 100.0,
  -- Factor by which the loss exceeds that of the initial weights, once a step moved a matrix by this share of its size
  -- (a hundred times the rule of thumb): what the matrix knew is thrown away. Where /weight was not measured the factor
  -- is exploding_growth.
  blown_up = 10.0, thrown = 0.1,
  -- Share of a layer's units without any slope over 2000 samples: SageMaker Debugger's rule "more than half" for layers
  -- that began so or in a run that stands still; AUTOTRAINER's 70 % for one that became so while the loss fell.
  dead_share = 0.5, dead_at_work = 0.7,
  -- Share of outputs with less than 5 % of the largest slope: SageMaker Debugger's rule for layers that began so or
  -- in a run that stands still. A layer that drifted there while the loss fell, or began so in a network that brought
  -- the loss down to a tenth (inputs of size ten into tanh), is at work until three quarters of it are flat.
  -- Not where slope_rms is above open_slope: ReLU6 is flat on half of its line by design and lets enough pass.
  saturated_share = 0.5, saturated_at_work = 0.75, open_slope = 0.5, learnt = 0.1,
  -- Or: slope_rms down to this share of the largest slope and half of the run's first row while the loss stands still
  -- or the layer answers every sample alike (sample_cosine above 0.9). In Glorot & Bengio 2010, figure 2, the top layer
  -- sinks to a mean activation below 0.1, so to a slope below 0.4, and no unit comes down to 5 %.
  saturated_slope = 0.4, saturated_fall = 0.5,
  -- Share by which the loss must have fallen from its first rows, or be falling still, to count as progress; in a loss
  -- that scatters more than this, twice the standard error, but a tenth is always progress. Where the outputs change
  -- the loss by more than this factor of their own relative change, they fit the targets, whatever the scale of either
  -- (to a fifth for squares, logits of four and right for cross-entropy): nothing is left to learn.
  progress_share = 0.03, progress_doubt = 0.1, fitted = 10.0,
  -- Share of the loss that all steps together can have changed at most, by the sizes of gradients and steps: with more
  -- a loss that stands still is not the steps' fault.
  reach = 0.1,
  -- Way that the middle weight matrix went in the whole run, in units of its size: less than the first hardly changes
  -- what it does; from the second on (ten steps by the rule of thumb) a loss that falls, if by little, is under way.
  moved = 1e-3, way = 1e-2,
  -- Decades between the relative updates of one weight matrix and the middle of all (rule of thumb: 1e-3 for each).
  unbalanced_decades = 2.0,
  -- Hysteresis: a condition begins after so many rows, and counts in the end if it held for so much of the run.
  hold = 3, share = 0.25,
}

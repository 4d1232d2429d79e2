/* What a probe is made of: the state that the files of this room share. Not a door.
 *
 * Slots stand still: the parameters and modules of a network lie in arrays made once, when it is attached, because
 * watchers point into them. A graph may outlive the probe: each watcher on a gradient holds one reference to the probe,
 * and one that is still called finds `closed` set.
 */
#ifndef SONDE_PROBE_SLOTS_H
#define SONDE_PROBE_SLOTS_H

#include "probe/probe.h"

/* What measuring costs: the groups, and what running fixed samples takes besides. */
enum { COST_SAMPLES = SONDE_PROBE_GROUP_COUNT, COST_COUNT };

typedef struct probe_cost {
    bool clocks, clocked;          /* in the open step; in the one that ended last */
    int64_t n_measured;            /* steps, till then */
    uint64_t ticks[COST_COUNT];    /* of the open step */
    double seconds[COST_COUNT];    /* of the step that ended last */
    double began;                  /* sonde_clock, and … */
    uint64_t began_ticks;          /* … sonde_ticks when the probe was made: their ratio is the counter's rate */
    uint64_t samples_began, samples_before; /* ticks; those spent till then */
} probe_cost;

/* What one call of a module, or all calls of a step together, put out. */
typedef struct probe_activation {
    sonde_moments moments;
    sonde_slopes slopes;           /* n = 0: none */
    double cosine_sum, n_pairs;    /* Σ cosine over pairs of samples, and how many pairs */
    int64_t samples;
    int64_t units;                 /* of `alive`; 0: none, or calls that do not agree */
    int64_t capacity;
    uint8_t *alive;                /* [units]: 1 where some slope was not 0 */
} probe_activation;

typedef struct probe_module probe_module;

/* A call's part in gain.c. As one that reads: */
typedef struct probe_gain {
    uint64_t serial;               /* of this use of the call: calls are used again */
    uint64_t began, ended;         /* its operators are those after `began` up to `ended` */
    struct probe_call *source;     /* that put its input out, or watches it; NULL: the input's gradient is not known */
    uint64_t source_serial;
    bool passes_on;                /* the output is the input itself */
    /* as a source: the last module whose output's gradient came, in this backward */
    probe_module *reader;
    double reader_norm;
    uint64_t reader_began, reader_ended;
} probe_gain;

/* One forward whose gradient may still come. Lives as long as the watcher on its output. */
typedef struct probe_call {
    probe_module *module;
    struct probe_call *next_free;
    bool counted;                  /* the activation has joined the step's pool */
    bool on_leaf;                  /* the output is a leaf: the gradient is the whole .grad, not a share to be pooled */
    int64_t time;                  /* of a watched tensor that has one, from 1; else 0 */
    sonde_tensor *output;          /* a copy for the host's own columns, until it is counted; NULL: none is wanted */
    probe_gain gain;
    probe_activation activation;
} probe_call;

/* Calls whose own outputs need no gradient: they count when one arrives at any output that the bundle is tied to. */
typedef struct probe_bundle {
    struct probe_network *network;
    probe_call *calls;             /* by next_free */
    int refs;                      /* one per output, one while it is being tied */
} probe_bundle;

/* Copies that the host's own columns look at when the step ends. */
typedef struct probe_kept {
    int n, capacity;
    sonde_tensor **tensors;
} probe_kept;

/* A step comes by here twice, each time after megabytes of other data: what it touches lies in front, in few lines
 * of cache. */
struct probe_module {
    struct probe_network *network;
    sonde_module *module;          /* retained; NULL: the network's input, or a tap */
    probe_call *free_calls;
    bool is_leaf, owns_parameters, is_weight_layer;
    bool called, needed_gradient, is_float; /* in the first step */
    bool has_gain_place;           /* in the first step */
    bool has_activation, has_gradient, has_histogram, has_gain; /* in the open step */
    double gain_before, gain_behind; /* norms of the open step's gradients, of its input and output */
    int ndim;                      /* of the newest output; -1: none yet */
    int depth;
    int64_t shape[SONDE_MAX_DIMS];
    sonde_moments gradient;        /* of the open step */
    sonde_histogram *histogram;    /* of the open step's gradients; NULL: no histograms wanted */
    probe_activation activation;   /* of the open step */
    /* over steps: when each unit was last alive, counted in measured samples */
    int64_t samples_seen, n_units;
    int64_t all_alive;             /* when all of them last were, and … */
    int64_t *last_alive;           /* [n_units] … each one, as far as that was later */
    char *path, *name;             /* within the network; along the axis */
    int64_t order;                 /* rank of the first call */
    sonde_handle *watch;           /* of forwards; in the first step also of what only has a place in the order */
    bool is_tap;                   /* a tensor that the host shows, see tap.c */
    int64_t time;                  /* of a tap: the newest one's; 0: it has none */
    struct probe_hidden *through_time; /* of a tap with times */
    uint64_t own;                  /* the host's columns that look at it */
    probe_kept outputs, gradients; /* of the open step */
} __attribute__((aligned(64)));

/* Elements kept to be compared with; data NULL: none. Of a gradient: whose step. */
typedef struct probe_copy {
    void *data;
    size_t n;
    sonde_dtype dtype;
    int64_t step;
} probe_copy;

typedef struct probe_parameter {
    struct probe_network *network;
    sonde_tensor *tensor;          /* retained */
    bool has_gradient, has_update, has_histogram, has_distance; /* in the open step */
    /* what was measured last and when, to see whether it is still in .grad */
    uint32_t measured_version;
    const sonde_tensor *measured;  /* compared first, never followed if it is not */
    int64_t measured_step;         /* 0: never */
    sonde_handle *watch;           /* NULL while it needs no gradient */
    sonde_histogram *histogram;    /* of the open step */
    sonde_moments gradient;        /* of the open step */
    sonde_update_stats update;     /* of the open step */
    double cosine;                 /* of the gradient of cosine_step and the one measured before */
    int64_t cosine_step;
    double init_distance, initial_norm;
    probe_copy initial;            /* the weights before the first step of an optimiser */
    probe_copy kept[2];            /* the newest gradient kept; the one before, where the open step needs both */
    probe_module *owner;
    struct probe_parameter *same;  /* a ring: where several networks have this tensor, the next one's slot */
    bool is_again;                 /* an earlier network has it */
    char *name;                    /* along the axis */
    const char *role;              /* what the owner calls it: the end of `name` */
    uint64_t own;                  /* the host's columns that look at it */
    sonde_tensor *copy;            /* the newest gradient's copy for them */
} __attribute__((aligned(64))) probe_parameter;

/* A weight that a parametrisation makes: a row of the parameter groups behind the true parameters. */
typedef struct probe_effective {
    probe_parameter weight;        /* tensor NULL: there is one for each call; watch: of the owner's forwards */
    int index;                     /* among the owner's parameters */
    int64_t n_elements;
    bool arrived, has_sum, has_norm; /* a gradient in this backward; … in the open step */
    sonde_tensor *sum;             /* of the open step's gradients */
    double l2_norm;
} probe_effective;

/* What a layer and direction remembers over k steps, in the open step. */
typedef struct probe_memory {
    int64_t length, room;          /* one more than the largest k, 0: nothing was measured; of the arrays */
    double *norms[2];              /* [k]: over all samples together; by h_t; by c_t */
    int64_t *samples;              /* [k] */
    sonde_stream start, stream;    /* of v: from its first row; from the next */
    sonde_dtype dtype;             /* of v */
    int64_t rows;
    void *v;                       /* [rows, hidden]: a unit vector for each place in a batch */
} probe_memory;

/* One layer and direction of a recurrent module. */
typedef struct probe_hidden {
    struct probe_network *network;
    probe_module *owner;
    struct probe_hidden *first;    /* of the module's: its slots lie together */
    int64_t layer;
    int directions;
    bool reverse, has_cell;
    int place;                     /* along the axis */
    int64_t length, room;          /* longest sequence of the open step, 0: no gradient came; of the arrays */
    double *norms[2];              /* of the open step, by time: dL/dh_t; dL/dc_t */
    probe_memory memory;
    char *name;                    /* along the axis */
    const char *role;              /* "hidden_l0": the end of `name` */
    sonde_handle *watch;           /* the first one's */
} probe_hidden;

/* Where a part of a module stands along its group's axis. */
typedef struct probe_site {
    probe_module *owner;
    int place;
    char *name;                    /* NULL: the module's */
    const char *role;              /* the end of `name`, where there is one */
} probe_site;

/* One skip of a block. Its ways are 0, the skip itself, and 1, the branch. */
typedef struct probe_skip {
    probe_site site;
    struct probe_skip *first;      /* of the module's: its slots lie together */
    /* of the open step, all forwards together: */
    bool arrived;
    double norms[2], cosine;       /* of the gradients; Σ over forwards of the products of both, over both norms */
    /* the last gradient that arrived, until that of the same forward's other way does */
    int64_t n_forwards, held_forward; /* so far; 0: none is held */
    int held_way;
    sonde_dtype held_dtype;
    size_t n_held, held_capacity;  /* elements; bytes */
    void *held;
    sonde_handle *watch;           /* the first one's */
} probe_skip;

/* One gate of a module. */
typedef struct probe_gate {
    probe_site site;               /* role "forget_l0" */
    struct probe_gate *first;      /* of the module's: its slots lie together */
    sonde_gates values;            /* of the open step */
    sonde_handle *watch;           /* the first one's */
} probe_gate;

typedef struct probe_network {
    sonde_probe *probe;
    sonde_module *root;            /* retained; NULL: this stands for the taps */
    char *name;                    /* "": none */
    unsigned what;
    int64_t every, hist_every;
    int n_modules, n_parameters, n_unwatched;
    int n_initial;                 /* parameters whose initial weights are kept */
    probe_module *modules;         /* [0] is the network's input, then the tree */
    probe_parameter *parameters;
    probe_module **sorted_modules; /* in forward order once the groups are declared */
    probe_parameter **sorted_parameters;
    sonde_histogram *histograms_of; /* all slots' */
    probe_effective *effective;    /* in the order of the tree */
    int n_effective;
    probe_hidden *hidden;          /* in the order of the tree */
    int n_hidden;
    probe_gate *gates;             /* in the order of the tree */
    int n_gates;
    probe_skip *skips;             /* in the order of the tree */
    int n_skips;
    probe_module *last_list;       /* while the tree is read: the last ParametrizationList */
    int last_parameter;            /* the one the optimiser named last */
    int64_t n_called;
    int first_place[SONDE_PROBE_GROUP_COUNT]; /* of its probes along each axis; there they lie in sorted order */
    bool measuring, histograms;    /* in the open step; the latter stands for all RARE_GROUPS */
    bool is_planned, planned;      /* measured when the host says so; it does for the open step */
    bool compares, keeps;          /* in the open step, with earlier ones; for the next measured step */
    bool fixed, sampled;           /* measured on samples of its own; … in the open step already */
    bool names_input;              /* its input may be the probe "input" */
    bool in_forward;               /* of the root */
    sonde_handle *begin, *end;     /* of the root's forward */
    probe_call *pending;           /* calls without a gradient that no output stands for yet, by next_free */
    sonde_probe_aside *aside;      /* what its samples must not change, while they are measured */
    int64_t measured_step, histogram_step; /* newest step with either; 0: none */
    double measured_time;
    bool weights_finite, activations_finite; /* the gradients of the last measured step */
} probe_network;

/* One optimiser that is listened to. */
typedef struct probe_optimizer {
    sonde_probe *probe;
    sonde_optimizer *optimizer;    /* retained */
    sonde_optim_observer observer;
} probe_optimizer;

enum { MOMENT_L2, MOMENT_MEAN, MOMENT_STD, MOMENT_ABS_MEAN, MOMENT_ABS_MAX, MOMENT_ZERO_FRAC, MOMENT_POSITIVE_FRAC,
       MOMENT_N_SUBNORMAL, MOMENT_N_NONFINITE, MOMENT_N_ELEMENTS };
enum { ACTIVATION_MEAN, ACTIVATION_STD, ACTIVATION_L2, ACTIVATION_ABS_MAX, ACTIVATION_ZERO_FRAC, ACTIVATION_SLOPE_RMS,
       ACTIVATION_SATURATED_FRAC, ACTIVATION_DEAD_FRAC, ACTIVATION_IDLE_FRAC, ACTIVATION_SAMPLE_COSINE,
       ACTIVATION_N_NONFINITE };
enum { WEIGHT_L2, WEIGHT_UPDATE_L2, WEIGHT_UPDATE_RATIO, WEIGHT_UNCHANGED_FRAC };
enum { DRIFT_COSINE, DRIFT_DISTANCE, DRIFT_RATIO };
enum { GAIN_GAIN };
enum { HIDDEN_L2, HIDDEN_LENGTH, HIDDEN_CELL_L2 };
enum { SKIP_BRANCH_SHARE, SKIP_COSINE, SKIP_L2, SKIP_BRANCH_L2 };
enum { GATE_OPENNESS, GATE_OPEN_FRAC, GATE_CLOSED_FRAC, GATE_SATURATED_FRAC };
enum { HISTOGRAM_COUNTS, HISTOGRAM_N_ZERO, HISTOGRAM_N_SUBNORMAL, HISTOGRAM_N_NONFINITE, HISTOGRAM_UNDERFLOW };
typedef enum probe_precision { /* from HISTOGRAM_UNDERFLOW on, UNDERFLOW_COLUMNS each */
    PRECISION_FLOAT16, PRECISION_BFLOAT16, PRECISION_FLOAT8_E4M3, PRECISION_FLOAT8_E5M2, PRECISION_COUNT
} probe_precision;
#define UNDERFLOW_COLUMNS 3
#define PROBE_MAX_COLUMNS 16

typedef struct probe_table {       /* one group of the history */
    sonde_group *group;            /* NULL: no probes */
    int n_columns;
    int time, columns[PROBE_MAX_COLUMNS]; /* variables, by the enumerations above */
    int time_step;                 /* of TIME_GROUPS: the axis that grows */
} probe_table;

/* A column of the host's own, see own.c. */
typedef struct probe_column {
    sonde_probe_group group;
    char *name, *long_name;
    int variable, n_places;        /* once the groups are declared; 0 places: it has no group */
    double *values;                /* [n_places], of the open step */
} probe_column;

struct sonde_probe {
    int refs;                      /* the owner's, and one per watcher on a gradient */
    bool closed, declared, resumed; /* resumed: the weights of the beginning were not seen */
    sonde_history *history;        /* borrowed */
    sonde_dtype dtype;             /* of the moments, once declared */
    probe_cost cost;
    int64_t step, last_step;       /* the open one; the expected last one, 0: unknown */
    probe_network *sampling;       /* whose samples are being measured; NULL: none */
    int n_backwards;               /* begun in this step */
    uint64_t n_calls;              /* taken so far */
    int n_networks, n_optimizers;
    probe_network **networks;
    probe_optimizer **optimizers;
    sonde_autograd_observer observer;
    probe_table tables[SONDE_PROBE_GROUP_COUNT];
    probe_network *taps;           /* among the networks; NULL: nothing was ever shown */
    int n_columns;                 /* of the host's own */
    probe_column columns[SONDE_PROBE_MAX_COLUMNS];
    uint64_t columns_due, columns_of[SONDE_PROBE_GROUP_COUNT]; /* bits: those that look at the open step; at a group */
    int n_leaf_watches, leaf_watch_capacity;
    sonde_handle **leaf_watches;   /* a watcher on a leaf stays until it is removed: when the step ends */
    double *scratch;               /* of the sample cosine */
    int64_t n_scratch;
    sonde_status failure;          /* of a watcher, until the step ends */
    char failure_text[256];
    int n_events;
    sonde_probe_event *events;     /* [2 · n_networks] */
};

#define MODULE_GROUPS (SONDE_PROBE_BIT(SONDE_PROBE_ACTIVATION_GRAD) | SONDE_PROBE_BIT(SONDE_PROBE_ACTIVATION) | \
                       SONDE_PROBE_BIT(SONDE_PROBE_ACTIVATION_GRAD_HIST) | SONDE_PROBE_BIT(SONDE_PROBE_GAIN))
#define WEIGHT_GRAD_GROUPS (SONDE_PROBE_BIT(SONDE_PROBE_WEIGHT_GRAD) | SONDE_PROBE_BIT(SONDE_PROBE_WEIGHT_GRAD_HIST) | \
                            SONDE_PROBE_BIT(SONDE_PROBE_WEIGHT_DRIFT))
#define PARAMETER_GROUPS (WEIGHT_GRAD_GROUPS | SONDE_PROBE_BIT(SONDE_PROBE_WEIGHT))
#define TIME_GROUPS (SONDE_PROBE_BIT(SONDE_PROBE_HIDDEN_GRAD) | SONDE_PROBE_BIT(SONDE_PROBE_HIDDEN_JACOBIAN))
#define HISTOGRAM_GROUPS (SONDE_PROBE_BIT(SONDE_PROBE_WEIGHT_GRAD_HIST) | \
                          SONDE_PROBE_BIT(SONDE_PROBE_ACTIVATION_GRAD_HIST))
#define RARE_GROUPS (HISTOGRAM_GROUPS | SONDE_PROBE_BIT(SONDE_PROBE_HIDDEN_JACOBIAN)) /* by the cadence of histograms */

#endif

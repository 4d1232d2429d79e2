/* Constructors of losses, with PyTorch's arguments and defaults. */
#include "bind/nn.h"

static sonde_loss_reduction arg_reduction(const sonde_bind_args *args, int i)
{
    static const char *const names[] = {"mean", "sum", "none", NULL}; /* in the order of sonde_loss_reduction */
    return (sonde_loss_reduction)sonde_bind_opt_choice(args, i, SONDE_LOSS_MEAN, names);
}

/* ignore_index: a class, 1-based. */
static int f_cross_entropy(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.CrossEntropyLoss",
                         SONDE_BIND_NAMES("weight", "ignore_index", "reduction", "label_smoothing"));
    sonde_tensor *weight = sonde_bind_opt_tensor(&args, 0);
    int64_t ignored = sonde_bind_opt_integer(&args, 1, 0, 1, INT64_MAX);
    sonde_loss_reduction reduction = arg_reduction(&args, 2);
    double smoothing = sonde_bind_opt_number(&args, 3, 0.0);
    sonde_bind_check(L, sonde_cross_entropy_loss_new(sonde_bind_new_module(L), weight, ignored, smoothing, reduction));
    return sonde_bind_done(L);
}

static int f_bce_with_logits(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.BCEWithLogitsLoss", SONDE_BIND_NAMES("weight", "reduction", "pos_weight"));
    sonde_tensor *weight = sonde_bind_opt_tensor(&args, 0), *pos_weight = sonde_bind_opt_tensor(&args, 2);
    sonde_loss_reduction reduction = arg_reduction(&args, 1);
    sonde_bind_check(L, sonde_bce_with_logits_loss_new(sonde_bind_new_module(L), weight, pos_weight, reduction));
    return sonde_bind_done(L);
}

/* MSELoss, L1Loss, SoftMarginLoss (reduction = "mean") */
static int f_plain(lua_State *L)
{
    typedef sonde_status new_loss(sonde_module **out, sonde_loss_reduction reduction);
    static new_loss *const functions[] = {sonde_mse_loss_new, sonde_l1_loss_new, sonde_soft_margin_loss_new};
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L), SONDE_BIND_NAMES("reduction"));
    sonde_loss_reduction reduction = arg_reduction(&args, 0);
    sonde_bind_check(L, functions[sonde_bind_row_value(L)](sonde_bind_new_module(L), reduction));
    return sonde_bind_done(L);
}

/* SmoothL1Loss(reduction = "mean", beta = 1), HuberLoss(reduction = "mean", delta = 1) */
static int f_bent(lua_State *L)
{
    bool huber = sonde_bind_row_value(L);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L),
                         huber ? SONDE_BIND_NAMES("reduction", "delta") : SONDE_BIND_NAMES("reduction", "beta"));
    sonde_loss_reduction reduction = arg_reduction(&args, 0);
    double where = sonde_bind_opt_number(&args, 1, 1.0);
    sonde_module **out = sonde_bind_new_module(L);
    sonde_bind_check(L, huber ? sonde_huber_loss_new(out, where, reduction)
                              : sonde_smooth_l1_loss_new(out, where, reduction));
    return sonde_bind_done(L);
}

/* BCELoss(weight, reduction = "mean") */
static int f_bce(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.BCELoss", SONDE_BIND_NAMES("weight", "reduction"));
    sonde_tensor *weight = sonde_bind_opt_tensor(&args, 0);
    sonde_loss_reduction reduction = arg_reduction(&args, 1);
    sonde_bind_check(L, sonde_bce_loss_new(sonde_bind_new_module(L), weight, reduction));
    return sonde_bind_done(L);
}

/* KLDivLoss(reduction = "mean", log_target = false); reduction also "batchmean" */
static int f_kl_div(lua_State *L)
{
    static const char *const names[] = {"mean", "sum", "none", "batchmean", NULL};
    enum { BATCHMEAN = 3 };
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.KLDivLoss", SONDE_BIND_NAMES("reduction", "log_target"));
    int choice = sonde_bind_opt_choice(&args, 0, SONDE_LOSS_MEAN, names);
    bool log_target = sonde_bind_opt_boolean(&args, 1, false);
    sonde_loss_reduction reduction = choice == BATCHMEAN ? SONDE_LOSS_MEAN : (sonde_loss_reduction)choice;
    sonde_bind_check(L, sonde_kl_div_loss_new(sonde_bind_new_module(L), log_target, choice == BATCHMEAN, reduction));
    return sonde_bind_done(L);
}

/* HingeEmbeddingLoss(margin = 1, reduction = "mean"), CosineEmbeddingLoss(margin = 0, reduction = "mean") */
static int f_embedding(lua_State *L)
{
    bool hinge = sonde_bind_row_value(L);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L), SONDE_BIND_NAMES("margin", "reduction"));
    double margin = sonde_bind_opt_number(&args, 0, hinge ? 1.0 : 0.0);
    sonde_loss_reduction reduction = arg_reduction(&args, 1);
    sonde_module **out = sonde_bind_new_module(L);
    sonde_bind_check(L, hinge ? sonde_hinge_embedding_loss_new(out, margin, reduction)
                              : sonde_cosine_embedding_loss_new(out, margin, reduction));
    return sonde_bind_done(L);
}

/* GaussianNLLLoss(full = false, eps = 1e-6, reduction = "mean") */
static int f_gaussian_nll(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.GaussianNLLLoss", SONDE_BIND_NAMES("full", "eps", "reduction"));
    bool full = sonde_bind_opt_boolean(&args, 0, false);
    double eps = sonde_bind_opt_number(&args, 1, 1e-6);
    sonde_loss_reduction reduction = arg_reduction(&args, 2);
    sonde_bind_check(L, sonde_gaussian_nll_loss_new(sonde_bind_new_module(L), full, eps, reduction));
    return sonde_bind_done(L);
}

/* NLLLoss(weight, ignore_index, reduction = "mean"); ignore_index: a class, 1-based. */
static int f_nll(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.NLLLoss", SONDE_BIND_NAMES("weight", "ignore_index", "reduction"));
    sonde_tensor *weight = sonde_bind_opt_tensor(&args, 0);
    int64_t ignored = sonde_bind_opt_integer(&args, 1, 0, 1, INT64_MAX);
    sonde_loss_reduction reduction = arg_reduction(&args, 2);
    sonde_bind_check(L, sonde_nll_loss_new(sonde_bind_new_module(L), weight, ignored, reduction));
    return sonde_bind_done(L);
}

/* MultiMarginLoss(p = 1, margin = 1, weight, reduction = "mean") */
static int f_multi_margin(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.MultiMarginLoss", SONDE_BIND_NAMES("p", "margin", "weight", "reduction"));
    int p = (int)sonde_bind_opt_integer(&args, 0, 1, 1, 2);
    double margin = sonde_bind_opt_number(&args, 1, 1.0);
    sonde_tensor *weight = sonde_bind_opt_tensor(&args, 2);
    sonde_loss_reduction reduction = arg_reduction(&args, 3);
    sonde_bind_check(L, sonde_multi_margin_loss_new(sonde_bind_new_module(L), weight, p, margin, reduction));
    return sonde_bind_done(L);
}

void sonde_bind_nn_losses(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"CrossEntropyLoss", f_cross_entropy},
        {"BCEWithLogitsLoss", f_bce_with_logits},
        {"BCELoss", f_bce},
        {"KLDivLoss", f_kl_div},
        {"GaussianNLLLoss", f_gaussian_nll},
        {"NLLLoss", f_nll},
        {"MultiMarginLoss", f_multi_margin},
        {NULL, NULL},
    };
    static const sonde_bind_row plain[] = {{"MSELoss", 0}, {"L1Loss", 1}, {"SoftMarginLoss", 2}, {NULL, 0}};
    static const sonde_bind_row bent[] = {{"SmoothL1Loss", 0}, {"HuberLoss", 1}, {NULL, 0}};
    static const sonde_bind_row embedding[] = {{"CosineEmbeddingLoss", 0}, {"HingeEmbeddingLoss", 1}, {NULL, 0}};
    luaL_setfuncs(L, functions, 0);
    sonde_bind_add_rows(L, "nn.", f_plain, plain);
    sonde_bind_add_rows(L, "nn.", f_bent, bent);
    sonde_bind_add_rows(L, "nn.", f_embedding, embedding);
}

/* Underflow in formats of less precision, against rounding done by hand, at every boundary and for every value. */
#include "probe_lab.h"
#include "probe/internal.h"

static const struct {
    const char *name;
    int bits, smallest; /* of the fraction; exponent of the smallest subnormal */
    double largest;
} formats[PRECISION_COUNT] = {
    {"float16", 10, -24, 65504}, {"bfloat16", 7, -133, 0x1.FEp127}, {"float8_e4m3", 3, -9, 448},
    {"float8_e5m2", 2, -16, 57344}};

/* To the nearest multiple of the unit in the last place, ties to even; what is too large stays so. */
static double rounded(double x, int format)
{
    if (x == 0) return 0;
    int unit = ilogb(x) - formats[format].bits;
    if (unit < formats[format].smallest) unit = formats[format].smallest;
    return scalbn(nearbyint(scalbn(x, -unit)), unit);
}

typedef struct values {
    sonde_dtype dtype;
    int n;
    double x[4096];
} values;

static void add_value(values *v, double x)
{
    if (v->dtype == SONDE_FLOAT32) x = (double)(float)x;
    if (!isfinite(x) || v->n == 4096) return;
    v->x[v->n] = v->n % 2 ? x : -x;
    v->n++;
}

static sonde_histogram histogram_of(const values *v)
{
    static float narrow[4096];
    sonde_histogram h;
    memset(&h, 0, sizeof h);
    for (int i = 0; i < v->n; i++) narrow[i] = (float)v->x[i];
    sonde_histogram_kernel(&h, v->dtype, v->dtype == SONDE_FLOAT32 ? (const void *)narrow : v->x, (size_t)v->n);
    return h;
}

/* Share of what is not 0 that rounds to 0 once multiplied. */
static double lost(const values *v, int format, double scale)
{
    double n = 0, zeros = 0;
    for (int i = 0; i < v->n; i++) {
        n += v->x[i] != 0;
        zeros += v->x[i] != 0 && rounded(v->x[i] * scale, format) == 0;
    }
    return zeros / n;
}

static void check_values(const values *v)
{
    sonde_histogram h = histogram_of(v);
    probe_underflow got[PRECISION_COUNT];
    double most = 0;
    sonde_probe_underflows(got, &h, v->dtype);
    for (int i = 0; i < v->n; i++) most = fmax(most, fabs(v->x[i]));
    for (int f = 0; f < PRECISION_COUNT; f++) {
        int limit = v->dtype == SONDE_FLOAT32 ? 127 : 1023;
        CHECK(got[f].share == lost(v, f, 1));
        CHECK(got[f].share_scaled == lost(v, f, got[f].scale));
        CHECK(frexp(got[f].scale, &(int){0}) == 0.5);
        CHECK(most * got[f].scale <= formats[f].largest);
        CHECK(2 * most * got[f].scale > formats[f].largest || got[f].scale == scalbn(1, limit));
    }
}

/* Every power of two of the dtype alone and its neighbours: ties, one unit above, one below. */
static void boundaries(void)
{
    for (int dtype = SONDE_FLOAT32; dtype <= SONDE_FLOAT64; dtype++) {
        for (int e = -149; e <= 127; e++) {
            for (int k = -1; k <= 1; k++) {
                static values v;
                double power = scalbn(1, e), to = k < 0 ? 0 : (double)INFINITY;
                v = (values){.dtype = (sonde_dtype)dtype};
                if (dtype == SONDE_FLOAT32) add_value(&v, k == 0 ? power : (double)nextafterf((float)power, (float)to));
                else add_value(&v, k == 0 ? power : nextafter(power, to));
                if (v.n > 0 && v.x[0] != 0 && fabs(v.x[0]) >= 0x1p-149) check_values(&v);
            }
        }
    }
}

/* All powers of two, halves between, and noise at once: the scale is that of the largest. */
static void mixtures(void)
{
    sonde_stream stream;
    sonde_stream_init(&stream, 3, "precision");
    for (int dtype = SONDE_FLOAT32; dtype <= SONDE_FLOAT64; dtype++) {
        for (int top = -140; top <= 120; top += 13) {
            static values v;
            v = (values){.dtype = (sonde_dtype)dtype};
            for (int e = -149; e <= top; e++) {
                add_value(&v, scalbn(1, e));
                if (e > -149) add_value(&v, scalbn(1.5, e));
                add_value(&v, scalbn((double)sonde_stream_integer(&stream, 1 << 20, 1 << 21), e - 20));
                add_value(&v, 0);
            }
            check_values(&v);
        }
    }
}

/* The lowest binades of each format in eighths of its smallest unit, and the values just beside. */
static void lowest_binades(void)
{
    for (int f = 0; f < PRECISION_COUNT; f++) {
        double unit = scalbn(1, formats[f].smallest);
        static values v;
        v = (values){.dtype = SONDE_FLOAT32};
        for (int i = 1; i <= 1000; i++) {
            add_value(&v, (double)i * unit / 8);
            add_value(&v, (double)nextafterf((float)((double)i * unit / 8), 0));
            add_value(&v, (double)nextafterf((float)((double)i * unit / 8), INFINITY));
        }
        check_values(&v);
    }
}

static void nothing_to_tell(void)
{
    static values v;
    v = (values){.dtype = SONDE_FLOAT64, .n = 3, .x = {0, -0.0, (double)NAN}};
    sonde_histogram h = histogram_of(&v);
    probe_underflow got[PRECISION_COUNT];
    sonde_probe_underflows(got, &h, SONDE_FLOAT64);
    for (int f = 0; f < PRECISION_COUNT; f++) CHECK(isnan(got[f].share) && isnan(got[f].scale));
    v = (values){.dtype = SONDE_FLOAT64, .n = 3, .x = {1, (double)INFINITY, 0x1p-26}}; /* of the finite ones */
    h = histogram_of(&v);
    sonde_probe_underflows(got, &h, SONDE_FLOAT64);
    CHECK(got[PRECISION_FLOAT16].share == 0.5 && got[PRECISION_FLOAT16].scale == 32768);
    CHECK(got[PRECISION_FLOAT16].share_scaled == 0);
    v = (values){.dtype = SONDE_FLOAT64, .n = 2, .x = {1e-60, 1e-65}}; /* the scaled tie lies within the end bin */
    h = histogram_of(&v);
    sonde_probe_underflows(got, &h, SONDE_FLOAT64);
    CHECK(got[PRECISION_FLOAT16].share == 1 && isnan(got[PRECISION_FLOAT16].share_scaled));
    CHECK(1e-60 * got[PRECISION_FLOAT16].scale <= 65504 && 2e-60 * got[PRECISION_FLOAT16].scale > 65504);
}

/* In the file: the columns of both groups tell of the gradients themselves, all calls of the step together. */
static void columns(void)
{
    for (int dtype = SONDE_FLOAT32; dtype <= SONDE_FLOAT64; dtype++) {
        lab l = lab_of(small_net("ReLU", false, (sonde_dtype)dtype), 8, 4, 3, (sonde_dtype)dtype,
                       &(sonde_probe_options){.hist_every = 1});
        sonde_handle *watch = spy_on(l.net, 1);
        sonde_tensor *w = sonde_module_parameter(l.net->children[4].module, "weight");
        for (int64_t i = 0; i < 15; i++) sonde_tensor_set(w, (int64_t[]){i / 5, i % 5}, scalbn(1, -2 * (int)i - 10));
        backward_of(&l, l.x);
        copy g = copy_of(sonde_grad(sonde_module_parameter(l.net->children[0].module, "weight")));
        OK(sonde_probe_end_step(l.probe, 1));
        static values weight, activation;
        weight = activation = (values){.dtype = (sonde_dtype)dtype};
        for (int64_t i = 0; i < g.n; i++) weight.x[weight.n++] = g.values[i];
        const copy *a = &spy_calls[0].gradient;
        for (int64_t i = 0; i < a->n; i++) activation.x[activation.n++] = a->values[i];
        for (int f = 0; f < PRECISION_COUNT; f++) {
            char share[64], scale[64], scaled[64];
            snprintf(share, sizeof share, "%s_underflow_frac", formats[f].name);
            snprintf(scale, sizeof scale, "%s_loss_scale", formats[f].name);
            snprintf(scaled, sizeof scaled, "%s_scaled_underflow_frac", formats[f].name);
            double s = last(&l, "weight_grad_hist", scale, "1.weight");
            CHECK_NEAR(last(&l, "weight_grad_hist", share, "1.weight"), lost(&weight, f, 1), 1e-7);
            CHECK_NEAR(last(&l, "weight_grad_hist", scaled, "1.weight"), lost(&weight, f, s), 1e-7);
            CHECK_NEAR(last(&l, "activation_grad_hist", share, "2"), lost(&activation, f, 1), 1e-7);
        }
        CHECK(last(&l, "activation_grad_hist", "float8_e4m3_underflow_frac", "2") > 0.1);
        CHECK(last(&l, "activation_grad_hist", "bfloat16_underflow_frac", "2") == 0);
        sonde_handle_remove(watch);
        spy_forget();
        free(g.values);
        lab_free(&l);
    }
}

int main(void)
{
    CHECK_RUN(boundaries);
    CHECK_RUN(mixtures);
    CHECK_RUN(lowest_binades);
    CHECK_RUN(nothing_to_tell);
    CHECK_RUN(columns);
    CHECK(sonde_memory().live_blocks == 0);
    CHECK_END();
}

/* Attention and transformer encoders. Included by nn.h: not a door of its own. */
#ifndef SONDE_NN_ATTENTION_H
#define SONDE_NN_ATTENTION_H

typedef struct sonde_attention_options {
    int64_t embed_dim, num_heads; /* E, which num_heads divides */
    int64_t kdim, vdim;           /* features of keys and values; 0: embed_dim */
    double dropout;               /* of the attention weights, in training */
    bool bias, add_bias_kv, add_zero_attn, batch_first;
    sonde_dtype dtype;
} sonde_attention_options;

/* bias true, everything else 0 or false, float32. */
sonde_attention_options sonde_attention_defaults(int64_t embed_dim, int64_t num_heads);

/* Multi-head attention (Vaswani et al. 2017, "Attention is all you need"; the formula: autograd/ops_attention.h).
 * In (any but the first may be NULL):
 *   query [L, N, E], key [S, N, kdim], value [S, N, vdim]; with batch_first [N, L, E] …, or without a batch [L, E] …
 *       key NULL: the query, value NULL: the key
 *   key_padding_mask [N, S] (without a batch [S]), attn_mask [L, S] or [N · heads, L, S]: int64, not 0 where it is
 *       forbidden to look, or floats that are added to the scores
 *   need_weights, average_attn_weights, is_causal: numbers of one element; as PyTorch 1, 1, 0. is_causal: position t
 *       sees none after t.
 * Out: y like the query, and with need_weights the weights [N, L, S], the heads' mean, or [N, heads, L, S].
 * Parameters as PyTorch names and draws them: in_proj_weight [3E, E] (xavier uniform), or with other kdim or vdim
 * q_proj_weight, k_proj_weight, v_proj_weight; in_proj_bias [3E] (0); bias_k and bias_v [1, 1, E] (xavier normal), a
 * key and a value more; child out_proj, a Linear whose bias starts at 0. add_zero_attn: a key and a value more of
 * zeros. */
sonde_status sonde_multihead_attention_new(sonde_module **out, const sonde_attention_options *options);

typedef struct sonde_encoder_options {
    int64_t d_model, nhead, dim_feedforward;
    double dropout;           /* of the weights, of both branches, and inside the feed-forward block */
    sonde_module *activation; /* borrowed */
    double layer_norm_eps;
    bool batch_first, norm_first, bias;
    sonde_dtype dtype;
} sonde_encoder_options;

/* One block, in: src [L, N, E] (or batch first, or [L, E]), src_mask and src_key_padding_mask as attn_mask and
 * key_padding_mask above, is_causal. Out: like src. With SA attention of x to itself and FF(x) = linear2(activation(
 * linear1(x))), both followed by dropout:
 *   post-norm  h = norm1(x + SA(x)),      y = norm2(h + FF(h))              (Vaswani et al. 2017)
 *   pre-norm   h = x + SA(norm1(x)),      y = h + FF(norm2(h))              (norm_first; Xiong et al. 2020)
 * Children, in the order they run: self_attn, linear1, activation, linear2, norm1, norm2, dropout, dropout1, dropout2;
 * linear1 [dim_feedforward, d_model]. bias: of everything in it. */
sonde_status sonde_transformer_encoder_layer_new(sonde_module **out, const sonde_encoder_options *options);
/* num_layers copies of `layer` (made by the constructor above), one after the other, then `norm` (NULL: none). As in
 * PyTorch every copy starts at layer's weights. In: src, mask, src_key_padding_mask, is_causal. Children: "layers",
 * whose children are "1", "2", …, and "norm". EARG if layer's activation has weights of its own or is a host's. */
sonde_status sonde_transformer_encoder_new(sonde_module **out, sonde_module *layer, int64_t num_layers,
                                           sonde_module *norm);

#endif

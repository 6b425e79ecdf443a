"""The operations that a program may hold: pure functions of tensors, by name, and nothing that touches the machine.

A program comes from a file, so it is data from a stranger: what is not listed here is neither written nor run.
"""

from __future__ import annotations

_ATEN = """
_adaptive_avg_pool2d.default _adaptive_avg_pool3d.default _convolution.default _log_softmax.default
_native_batch_norm_legit_no_training.default _softmax.default _to_copy.default _unsafe_view.default
_weight_norm.default _weight_norm_interface.default abs.default acos.default adaptive_avg_pool1d.default
adaptive_avg_pool2d.default adaptive_avg_pool3d.default adaptive_max_pool1d.default adaptive_max_pool2d.default
adaptive_max_pool3d.default add.Scalar add.Tensor addbmm.default addcdiv.default addcmul.default addmm.default
addmv.default alias.default all.default all.dim amax.default amin.default any.default any.dim arange.default
arange.start arange.start_step argmax.default argmin.default argsort.default as_strided.default asin.default
atan.default atan2.default avg_pool1d.default avg_pool2d.default avg_pool3d.default baddbmm.default batch_norm.default
bilinear.default bitwise_and.Tensor bitwise_not.default bitwise_or.Tensor bitwise_xor.Tensor bmm.default
broadcast_tensors.default broadcast_to.default bucketize.Tensor cat.default cdist.default ceil.default celu.default
chunk.default clamp.Tensor clamp.default clamp_max.default clamp_min.default clone.default concat.default
constant_pad_nd.default contiguous.default conv1d.default conv1d.padding conv2d.default conv2d.padding conv3d.default
conv3d.padding conv_transpose1d.default conv_transpose2d.input conv_transpose3d.input convolution.default cos.default
cosh.default cosine_similarity.default cross.default cummax.default cummin.default cumprod.default cumsum.default
detach.default detach_copy.default diag.default diagonal.default diff.default div.Scalar div.Tensor div.Tensor_mode
dot.default dropout.default einsum.default elu.default embedding.default embedding_bag.padding_idx eq.Scalar eq.Tensor
erf.default erfc.default exp.default exp2.default expand.default expand_as.default expm1.default eye.default eye.m
feature_dropout.default fill.Scalar flatten.using_ints flip.default floor.default floor_divide.default fmod.Scalar
fmod.Tensor frac.default full.default full_like.default gather.default ge.Scalar ge.Tensor gelu.default glu.default
grid_sampler.default grid_sampler_2d.default group_norm.default gru.input gt.Scalar gt.Tensor hardshrink.default
hardsigmoid.default hardswish.default hardtanh.default im2col.default index.Tensor index_add.default
index_copy.default index_put.default index_select.default instance_norm.default isfinite.default isinf.default
isnan.default kthvalue.default layer_norm.default le.Scalar le.Tensor leaky_relu.default lerp.Scalar lerp.Tensor
lift_fresh_copy.default linalg_householder_product.default linalg_norm.default linalg_vector_norm.default
linear.default linspace.default log.default log10.default log1p.default log2.default log_sigmoid.default
log_softmax.int logaddexp.default logical_and.default logical_not.default logical_or.default logical_xor.default
logsumexp.default lstm.input lt.Scalar lt.Tensor masked_fill.Scalar masked_fill.Tensor masked_select.default
matmul.default max.default max.dim max.other max_pool1d.default max_pool2d.default max_pool2d_with_indices.default
max_pool3d.default maximum.default mean.default mean.dim median.default median.dim meshgrid.default meshgrid.indexing
min.default min.dim min.other minimum.default mish.default mm.default movedim.int mul.Scalar mul.Tensor mv.default
nan_to_num.default narrow.default native_group_norm.default native_layer_norm.default ne.Scalar ne.Tensor neg.default
new_full.default new_ones.default new_zeros.default nonzero.default norm.Scalar norm.ScalarOpt_dim one_hot.default
ones.default ones_like.default outer.default pad.default permute.default pixel_shuffle.default pixel_unshuffle.default
pow.Scalar pow.Tensor_Scalar pow.Tensor_Tensor prelu.default prod.default prod.dim_int real.default reciprocal.default
reflection_pad1d.default reflection_pad2d.default relu.default relu6.default remainder.Scalar remainder.Tensor
repeat.default repeat_interleave.self_int replication_pad1d.default replication_pad2d.default reshape.default
rms_norm.default rnn_relu.input rnn_tanh.input roll.default round.default rsqrt.default rsub.Scalar rsub.Tensor
scalar_tensor.default scaled_dot_product_attention.default scatter.src scatter.value scatter_add.default select.int
select_scatter.default selu.default sigmoid.default sign.default silu.default sin.default sinh.default slice.Tensor
slice_scatter.default softmax.int softplus.default softshrink.default sort.default split.Tensor
split_with_sizes.default sqrt.default square.default squeeze.default squeeze.dim squeeze.dims stack.default
std.correction std.dim sub.Scalar sub.Tensor sum.default sum.dim_IntList swapaxes.default sym_size.int t.default
tan.default tanh.default tensor_split.sections threshold.default to.device to.dtype to.dtype_layout to.other
topk.default transpose.int tril.default triu.default true_divide.Tensor type_as.default unbind.int unflatten.int
unfold.default unsqueeze.default upsample_bicubic2d.vec upsample_bilinear2d.vec upsample_linear1d.vec
upsample_nearest1d.vec upsample_nearest2d.vec var.correction var.dim var_mean.correction view.default view.dtype
view_as.default where.ScalarOther where.ScalarSelf where.self zeros.default zeros_like.default
"""

# arithmetic on sizes, and picking one of several results
_PLAIN = "add eq floordiv ge getitem gt le lt mod mul ne neg sub truediv"

ALLOWED = frozenset(
    [f"aten.{name}" for name in _ATEN.split()]
    + [f"operator.{name}" for name in _PLAIN.split()]
    + ["torch.sym_float", "torch.sym_int", "torch.sym_ite", "torch.sym_max", "torch.sym_min", "torch.sym_not"]
)

# They only check sizes or the types that were seen at export, and change nothing.
CHECKS = frozenset(
    {
        "aten._assert_async.default",
        "aten._assert_async.msg",
        "aten._assert_scalar.default",
        "aten._assert_tensor_metadata.default",
        "aten.sym_constrain_range.default",
        "aten.sym_constrain_range_for_size.default",
    }
)

FORMAT = 1

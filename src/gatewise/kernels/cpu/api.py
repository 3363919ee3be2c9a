"""``csrc/api.h`` in ctypes, name by name; a test and :mod:`~gatewise.kernels.cpu.library` hold it to that."""

from ctypes import CFUNCTYPE, POINTER, Structure, c_float, c_int32, c_int64, c_uint32, c_void_p

ABI = 2

# gatewise_save
NOTHING, TAPE, TRACE = range(3)


class Weights(Structure):
    """``gatewise_weights``."""

    _fields_ = (
        ("weight_ih", c_void_p),
        ("weight_hh", c_void_p),
        ("bias_ih", c_void_p),
        ("bias_hh", c_void_p),
        ("weight_hr", c_void_p),
        ("weight_peephole", c_void_p),
        ("gain_ih", c_void_p),
        ("gain_hh", c_void_p),
        ("gain_c", c_void_p),
    )


class Sequence(Structure):
    """``gatewise_sequence``."""

    _fields_ = (("data", c_void_p), ("stride_t", c_int64), ("stride_b", c_int64), ("stride_n", c_int64))


class Layer(Structure):
    """``gatewise_layer``."""

    _fields_ = (
        ("T", c_int64),
        ("B", c_int64),
        ("I", c_int64),
        ("H", c_int64),
        ("P", c_int64),
        ("D", c_int64),
        ("dtype", c_int32),
        ("forget", c_int32),
        ("norm", c_int32),
        ("project", c_int32),
        ("threads", c_int32),
        ("save", c_int32),
        ("wide_c", c_int32),
        ("weights", Weights * 2),
        ("input", Sequence),
        ("h_0", c_void_p),
        ("c_0", c_void_p),
        ("lengths", c_void_p),
        ("resets", c_void_p),
        ("mask_h", c_void_p),
        ("mask_g", c_void_p),
        ("keep_h", c_void_p),
        ("keep_c", c_void_p),
        ("keep_h_mean", c_float),
        ("keep_c_mean", c_float),
        ("output", c_void_p),
        ("h_n", c_void_p),
        ("c_n", c_void_p),
        ("tape", c_void_p),
        ("d_output", Sequence),
        ("d_h_n", c_void_p),
        ("d_c_n", c_void_p),
        ("d_input", c_void_p),
        ("d_h_0", c_void_p),
        ("d_c_0", c_void_p),
        ("d_weights", Weights * 2),
    )


class Norm(Structure):
    """``gatewise_norm``."""

    _fields_ = (
        ("T", c_int64),
        ("B", c_int64),
        ("C", c_int64),
        ("dtype", c_int32),
        ("threads", c_int32),
        ("eps", c_float),
        ("dropped", c_uint32),
        ("seed", c_void_p),
        ("input", Sequence),
        ("mask", c_void_p),
        ("mask_stride_t", c_int64),
        ("mask_stride_b", c_int64),
        ("weight", c_void_p),
        ("bias", c_void_p),
        ("mean", c_void_p),
        ("variance", c_void_p),
        ("output", Sequence),
        ("moments", c_void_p),
        ("d_output", Sequence),
        ("d_input", Sequence),
        ("d_weight", c_void_p),
        ("d_bias", c_void_p),
    )


class Dropout(Structure):
    """``gatewise_dropout``."""

    _fields_ = (
        ("n", c_int64),
        ("dtype", c_int32),
        ("threads", c_int32),
        ("dropped", c_uint32),
        ("seed", c_void_p),
        ("input", c_void_p),
        ("output", c_void_p),
    )


class Columns(Structure):
    """``gatewise_columns``."""

    _fields_ = (
        ("n", c_int64),
        ("H", c_int64),
        ("stride", c_int64),
        ("above", c_float),
        ("below", c_float),
        ("x", c_void_p),
        ("centre", c_void_p),
        ("sums", c_void_p),
    )


class Functions(Structure):
    """``gatewise_functions``: what one instruction set offers. A call releases the GIL."""

    _fields_ = (
        ("lanes", c_int32),
        ("bf16_product", c_int32),
        ("tape_size", CFUNCTYPE(c_int64, POINTER(Layer))),
        ("forward", CFUNCTYPE(c_int32, POINTER(Layer))),
        ("backward", CFUNCTYPE(c_int32, POINTER(Layer))),
        ("norm_forward", CFUNCTYPE(c_int32, POINTER(Norm))),
        ("norm_backward", CFUNCTYPE(c_int32, POINTER(Norm))),
        ("dropout", CFUNCTYPE(None, POINTER(Dropout))),
        ("stack_bytes", CFUNCTYPE(c_int64, POINTER(Layer), c_int64)),
        ("stack_make", CFUNCTYPE(None, POINTER(Layer), c_int64, c_void_p)),
        ("stack_step", CFUNCTYPE(None, c_void_p, c_int32, c_void_p, c_void_p)),
        ("column_sums", CFUNCTYPE(None, POINTER(Columns))),
    )


STRUCTURES = (Weights, Sequence, Layer, Norm, Dropout, Columns, Functions)
"""All of them, in the header's order."""

package golden

import (
	"encoding/binary"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/recipe"
)

// Uniform is the recipe uniform_array: values (n+bias)*amp*2^-23 with n drawn from 24 signed bits by name.
func Uniform(name string, amp float64, bias int64, shape ...int) *tensor.Tensor {
	return &tensor.Tensor{Shape: shape, Data: recipe.UniformArray(name, tensor.Count(shape), amp, bias)}
}

// Normal is the recipe normal_array: values of unit variance.
func Normal(name string, shape ...int) *tensor.Tensor {
	return &tensor.Tensor{Shape: shape, Data: recipe.NormalArray(name, tensor.Count(shape))}
}

// Image is the recipe image_array: a patterned [b,h,w,c] image in 0…1.
func Image(name string, b, h, w, c int) *tensor.Tensor {
	return &tensor.Tensor{Shape: []int{b, h, w, c}, Data: recipe.ImageArray(name, b, h, w, c)}
}

// Scale multiplies a recipe's values by a factor in float32, as the goldens' makers did, and returns t.
//
//go:norace
func Scale(t *tensor.Tensor, factor float32) *tensor.Tensor {
	for i := range t.Data {
		t.Data[i] *= factor
	}
	return t
}

// Times multiplies a recipe's values by a factor in float64, as the goldens' makers did, and returns t.
//
//go:norace
func Times(t *tensor.Tensor, factor float64) *tensor.Tensor {
	for i, x := range t.Data {
		t.Data[i] = float32(float64(x) * factor)
	}
	return t
}

// Over divides a recipe's values in float64, as the goldens' makers did, and returns t.
//
//go:norace
func Over(t *tensor.Tensor, divisor float64) *tensor.Tensor {
	for i, x := range t.Data {
		t.Data[i] = float32(float64(x) / divisor)
	}
	return t
}

// Bytes returns the values as the little-endian bytes of a file.
//
//go:norace
func Bytes(values []float32) []byte {
	out := make([]byte, 4*len(values))
	for i, v := range values {
		binary.LittleEndian.PutUint32(out[4*i:], math.Float32bits(v))
	}
	return out
}

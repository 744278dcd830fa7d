package golden

import (
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
func Scale(t *tensor.Tensor, factor float32) *tensor.Tensor {
	for i := range t.Data {
		t.Data[i] *= factor
	}
	return t
}

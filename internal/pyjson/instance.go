package pyjson

// Values that have types in Python for which JSON has no form. They stand within what a value of a link is upstream.
type (
	// Instance is an object of a class of ComfyUI's API that comfy_api.latest.Types names, by its attributes.
	Instance struct {
		Class      string
		Attributes *Object
	}
	// Array is a tensor that is an array of numpy upstream.
	Array struct{ Tensor any }
	// Frozen is a set that cannot be changed.
	Frozen []any
)

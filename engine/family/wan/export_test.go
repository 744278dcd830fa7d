package wan

import "comfygo/engine/tensor"

// MotionInputs adds the inputs of frames before a video.
func MotionInputs(z *tensor.Tensor, to map[string]*tensor.Tensor) {
	l := &inputList{}
	l.addMotion(z)
	for _, i := range l.list {
		to[i.Name] = i.Value
	}
}

package chunked

import (
	"slices"

	"comfygo/engine/family"
)

// Memory estimates the bytes that a run takes for frames of shape [1,C,T,h,w], first or rest of which go in at once: the layer that
// takes most, the chunks that wait for the layers after them, and the states that layers keep from one chunk to the next.
func (n *Network) Memory(shape []int, first, rest int) int64 {
	shape = slices.Clone(shape)
	more := first > 0 && first < shape[2]
	if chunk := max(first, rest); chunk > 0 {
		shape[2] = min(shape[2], chunk)
	}
	var most, waiting, states int64
	for i, l := range n.Layers {
		p := l.phase(l.Lead == 0 || shape[2] == l.Lead, true, shape[2])
		if l.Single {
			p = l.phase(!more, true, shape[2])
		}
		known, err := n.layer(l, p)
		if err != nil {
			return 0 // which is reported at run time
		}
		symbols := l.symbols(shape, p)
		most = max(most, n.activations.Of(n.graph(l, p), symbols))
		if more {
			kept, err := n.stateBytes(l, shape)
			if err != nil {
				return 0
			}
			states += kept
		}
		out, err := eval(known.out, symbols)
		if err != nil {
			return 0
		}
		shape = slices.Clone(videoShape(out))
		next := max(n.piece(i+1, shape), l.Delay+1)
		if !more { // these are all the frames
			next = min(next, shape[2])
		}
		if next < shape[2] || !l.Single {
			waiting += family.Product(shape...) * 4
			more = more || next < shape[2]
			shape[2] = next
		}
	}
	return most + waiting + states
}

// stateBytes is the size of what a layer keeps of frames of the given shape for those after them.
func (n *Network) stateBytes(l Layer, shape []int) (int64, error) {
	p := l.phase(false, false, shape[2])
	known, err := n.layer(l, p)
	if err != nil {
		return 0, err
	}
	total := int64(0)
	for _, s := range known.slots {
		size, err := eval(s.shape, l.symbols(shape, p))
		if err != nil {
			return 0, err
		}
		total += family.Product(append(size, s.frames, 4)...)
	}
	return total, nil
}

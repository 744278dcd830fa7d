package patch

import (
	"fmt"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// affordable reports whether the factors of an adapter, and the products of them that are computed on the way, are of the order of the
// weight that they change. A file states ranks as it likes, and the factors of a rank of millions take all memory of the machine.
func affordable(a Adapter, shape []int) error {
	const times, least = 16, 1 << 24 // small weights may have large ranks: a convolution of an image has 3 channels
	weight := tensor.Count(shape)
	var most int
	for _, e := range a.Entries() {
		most += e.Count()
	}
	for _, core := range cores(a) {
		most = max(most, core.Shape[0]*tensor.Count(shape[1:]))
	}
	if bound := times*weight + least; most > bound {
		return fmt.Errorf("%s: its factors have %d elements, more than the %d that are read for a weight of shape %v: the rank is wrong", a.Form(), most, bound, shape)
	}
	return nil
}

// cores are the middle tensors of an adapter: their first axis times the columns of the weight is the size of an intermediate product.
func cores(a Adapter) []*weights.Entry {
	var list []*weights.Entry
	switch a := a.(type) {
	case *LowRank:
		list = []*weights.Entry{a.Mid}
	case *LoHa:
		list = []*weights.Entry{a.T1, a.T2}
	case *LoKr:
		list = []*weights.Entry{a.T2}
	}
	var out []*weights.Entry
	for _, e := range list {
		if e != nil {
			out = append(out, e)
		}
	}
	return out
}

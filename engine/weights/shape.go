package weights

import "fmt"

// The bounds of shapes that the size of the file does not bound.
const (
	maxEmptyAxis  = 1 << 24 // an axis of a tensor without elements
	maxEmptyShape = 1 << 28 // the other axes of such a tensor, multiplied
)

// checkShapes refuses shapes that no model has and that would make what reads them allocate, or count beyond what an integer holds: tensors
// of many axes, and tensors without elements beside long axes. Axes of other tensors are bounded by the bytes of the file.
func checkShapes(src Source) error {
	for _, name := range src.Names() {
		e, ok := src.Lookup(name)
		if !ok {
			continue
		}
		if err := checkShape(e.Shape); err != nil {
			return fmt.Errorf("reading %s: tensor %q: %w: the file is damaged or was made to do harm; get it again from where it was published", src.Path(), name, err)
		}
	}
	return nil
}

func checkShape(shape []int) error {
	if len(shape) > maxRank {
		return fmt.Errorf("%d axes are over the limit of %d", len(shape), maxRank)
	}
	empty, longest, others := false, 0, 1
	for _, d := range shape {
		longest = max(longest, d)
		if d == 0 {
			empty = true
		} else {
			others *= min(d, maxEmptyAxis+1)
			others = min(others, maxEmptyShape+1)
		}
	}
	if empty && (longest > maxEmptyAxis || others > maxEmptyShape) {
		return fmt.Errorf("the shape %v has no elements, but an axis of %d", shape, longest)
	}
	return nil
}

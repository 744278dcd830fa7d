package patch

import (
	"errors"
	"fmt"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Adapter is a change of one weight as a file states it.
type Adapter interface {
	// Form is the name of the method, such as "LoRA" or "LoHa".
	Form() string
	// Entries lists the tensors of the file that make up the change.
	Entries() []weights.Entry
	// Check reports whether the change fits a weight, or rows of one, of the given shape.
	Check(shape []int) error
}

// ErrNotAvailable is wrapped by the error for an adapter that cannot be applied to the weight in question.
var ErrNotAvailable = errors.New("not available")

// LowRank is a change Scale·Up·Down, or Scale·Up·Mid·Down for a convolution whose kernel is in the middle.
type LowRank struct {
	// Up is [out,rank] and Down [rank,in] or [rank,in,k,k], both with any number of axes of size one after.
	Up, Down weights.Entry
	// Mid, when set, is [rank,rank,k,k]; Down is [rank,in,1,1] then.
	Mid *weights.Entry
	// Alpha, when set, is divided by the rank to give the scale; otherwise the scale is 1.
	Alpha *float64
	// DoraScale, when set, are the magnitudes of the changed weight (DoRA).
	DoraScale *weights.Entry
	// Reshape, when set, is the larger shape that the weight is padded to.
	Reshape []int
}

// Form implements Adapter.
func (a *LowRank) Form() string {
	switch {
	case a.DoraScale != nil:
		return "DoRA"
	case a.Reshape != nil:
		return "LoRA with a reshaped weight"
	}
	return "LoRA"
}

// Entries implements Adapter.
func (a *LowRank) Entries() []weights.Entry {
	return append(present(a.Mid, a.DoraScale), a.Up, a.Down)
}

// Rank returns the number of rows of Down.
func (a *LowRank) Rank() int { return a.Down.Shape[0] }

// Scale returns the factor of the product: alpha/rank, or 1.
func (a *LowRank) Scale() float64 {
	if a.Alpha == nil {
		return 1
	}
	return *a.Alpha / float64(a.Rank())
}

// plain reports that the change is just added to the weight.
func (a *LowRank) plain() bool { return a.DoraScale == nil && a.Reshape == nil }

// agree reports whether the factors fit each other.
func (a *LowRank) agree() error {
	if len(a.Up.Shape) < 2 || len(a.Down.Shape) < 2 || a.Up.Count() == 0 || a.Down.Count() == 0 {
		return fmt.Errorf("up %v and down %v: wanted at least two axes each, none of size zero", a.Up, a.Down)
	}
	rank := a.Rank()
	if a.Up.Count()/a.Up.Shape[0] != rank {
		return fmt.Errorf("up %v and down %v: the ranks differ", a.Up, a.Down)
	}
	if m := a.Mid; m != nil && (len(m.Shape) < 3 || m.Shape[0] != rank || m.Shape[1] != rank || m.Count() == 0) {
		return fmt.Errorf("mid %v does not go between up and down of rank %d", m, rank)
	}
	return nil
}

// Check implements Adapter.
func (a *LowRank) Check(shape []int) error {
	if a.Reshape != nil {
		if !within(shape, a.Reshape) {
			return fmt.Errorf("%s: a weight of shape %v cannot be padded to %v", a.Form(), shape, a.Reshape)
		}
		const most = 64 // times the weight's size
		if tensor.Count(a.Reshape) > most*tensor.Count(shape) {
			return fmt.Errorf("%s: a weight of shape %v is not padded to %v, more than %d times its size", a.Form(), shape, a.Reshape, most)
		}
		shape = a.Reshape
	}
	if len(shape) < 2 {
		return misfit(a, shape)
	}
	cols := tensor.Count(shape[1:])
	have := a.Down.Count() / a.Rank()
	if a.Mid != nil {
		have *= tensor.Count(a.Mid.Shape[2:])
	}
	if a.Up.Shape[0] != shape[0] || have != cols || a.Mid != nil && !equal(a.Mid.Shape[2:], shape[2:]) {
		return misfit(a, shape)
	}
	return checkDora(a, a.DoraScale, shape)
}

// Diff is a full change that is added to the weight.
type Diff struct{ Delta weights.Entry }

// Form implements Adapter.
func (*Diff) Form() string { return "full difference" }

// Entries implements Adapter.
func (a *Diff) Entries() []weights.Entry { return []weights.Entry{a.Delta} }

// Check implements Adapter.
func (a *Diff) Check(shape []int) error {
	if !equal(a.Delta.Shape, shape) {
		return misfit(a, shape)
	}
	return nil
}

// Set replaces the weight, whatever the strength is.
type Set struct{ Value weights.Entry }

// Form implements Adapter.
func (*Set) Form() string { return "replacement" }

// Entries implements Adapter.
func (a *Set) Entries() []weights.Entry { return []weights.Entry{a.Value} }

// Check implements Adapter.
func (a *Set) Check(shape []int) error {
	if !equal(a.Value.Shape, shape) {
		return misfit(a, shape)
	}
	return nil
}

// LoHa is the element-wise product of two low-rank matrices, W1A·W1B and W2A·W2B, or of two tensors in Tucker form.
type LoHa struct {
	W1A, W1B, W2A, W2B weights.Entry
	T1, T2, DoraScale  *weights.Entry
	Alpha              *float64
}

// Form implements Adapter.
func (*LoHa) Form() string { return "LoHa" }

// Entries implements Adapter.
func (a *LoHa) Entries() []weights.Entry {
	return append(present(a.T1, a.T2, a.DoraScale), a.W1A, a.W1B, a.W2A, a.W2B)
}

// Check implements Adapter.
func (a *LoHa) Check(shape []int) error {
	for _, f := range [][3]*weights.Entry{{&a.W1A, &a.W1B, a.T1}, {&a.W2A, &a.W2B, a.T2}} {
		rows, cols, ok := productShape(f[0], f[1], f[2])
		if !ok || len(shape) < 2 || rows != shape[0] || cols != tensor.Count(shape[1:]) {
			return misfit(a, shape)
		}
	}
	return checkDora(a, a.DoraScale, shape)
}

// LoKr is the Kronecker product of W1 and W2, each given whole or as a product of two factors.
type LoKr struct {
	W1, W2, W1A, W1B, W2A, W2B, T2, DoraScale *weights.Entry
	Alpha                                     *float64
	// FirstRank reports that alpha is divided by the rank of W1 where both factors are products: upstream's bypass loaders do
	// so.
	FirstRank bool
}

// Form implements Adapter.
func (*LoKr) Form() string { return "LoKr" }

// Entries implements Adapter.
func (a *LoKr) Entries() []weights.Entry {
	return present(a.W1, a.W2, a.W1A, a.W1B, a.W2A, a.W2B, a.T2, a.DoraScale)
}

// Check implements Adapter.
func (a *LoKr) Check(shape []int) error {
	rows, cols := 1, 1
	for _, f := range [][4]*weights.Entry{{a.W1, a.W1A, a.W1B, nil}, {a.W2, a.W2A, a.W2B, a.T2}} {
		var r, c int
		ok := false
		if f[0] != nil {
			if ok = len(f[0].Shape) > 1 && f[0].Count() > 0; ok {
				r, c = f[0].Shape[0], f[0].Count()/f[0].Shape[0]
			}
		} else {
			r, c, ok = productShape(f[1], f[2], f[3])
		}
		if !ok {
			return misfit(a, shape)
		}
		rows, cols = rows*r, cols*c
	}
	if len(shape) < 2 || rows != shape[0] || cols != tensor.Count(shape[1:]) {
		return misfit(a, shape)
	}
	return checkDora(a, a.DoraScale, shape)
}

// inert implements undone: ComfyUI 0.33.0 multiplies the factors with torch.kron, which fails for a second factor whose elements lie
// in the order that its Tucker form gives them, and leaves the weight unchanged. It works where a factor has a single row, column or
// element, and in the bypass loaders.
func (a *LoKr) inert() string {
	if a.T2 == nil || a.W2 != nil || a.FirstRank {
		return ""
	}
	rows, in := a.W2A.Count()/a.W2A.Shape[0], a.W2B.Count()/a.W2B.Shape[0]
	first := 1
	if a.W1 != nil {
		first = a.W1.Count()
	} else if r, c, ok := productShape(a.W1A, a.W1B, nil); ok {
		first = r * c
	}
	if rows > 1 && in > 1 && first > 1 {
		return "ComfyUI does not apply LoKr in Tucker form"
	}
	return ""
}

// undone is implemented by adapters that upstream may be unable to compute.
type undone interface {
	// inert returns the reason why upstream leaves the weight unchanged, or "".
	inert() string
}

// inert is undone's method for any adapter.
func inert(a Adapter) string {
	if u, ok := a.(undone); ok {
		return u.inert()
	}
	return ""
}

// productShape returns the number of rows and columns of a·b, or of aᵀ·core·b, or false if the factors do not fit each
// other.
func productShape(a, b, core *weights.Entry) (rows, cols int, ok bool) {
	if len(a.Shape) < 2 || len(b.Shape) < 2 || a.Count() == 0 || b.Count() == 0 {
		return 0, 0, false
	}
	if core == nil {
		return a.Shape[0], b.Count() / b.Shape[0], a.Count()/a.Shape[0] == b.Shape[0]
	}
	if len(core.Shape) < 2 || core.Count() == 0 || a.Shape[0] != core.Shape[0] || b.Shape[0] != core.Shape[1] {
		return 0, 0, false
	}
	return a.Count() / a.Shape[0], b.Count() / b.Shape[0] * tensor.Count(core.Shape[2:]), true
}

// checkDora reports whether there is a magnitude for each row or for each input channel of the weight.
func checkDora(a Adapter, e *weights.Entry, shape []int) error {
	if e == nil || len(e.Shape) > 0 && (byRows(*e, shape) && e.Count() == shape[0] || !byRows(*e, shape) && e.Count() == shape[1]) {
		return nil
	}
	return fmt.Errorf("%s: %v are not the magnitudes of a weight of shape %v", a.Form(), e, shape)
}

// byRows reports that the magnitudes are those of rows rather than of input channels.
func byRows(magnitudes weights.Entry, shape []int) bool { return magnitudes.Shape[0] == shape[0] }

var (
	_ Adapter = (*LowRank)(nil)
	_ Adapter = (*Diff)(nil)
	_ Adapter = (*Set)(nil)
	_ Adapter = (*LoHa)(nil)
	_ Adapter = (*LoKr)(nil)
	_ Adapter = (*GLoRA)(nil)
	_ Adapter = (*OFT)(nil)
)

// present lists the entries that are there.
func present(es ...*weights.Entry) []weights.Entry {
	var out []weights.Entry
	for _, e := range es {
		if e != nil {
			out = append(out, *e)
		}
	}
	return out
}

func misfit(a Adapter, shape []int) error {
	var have [][]int
	for _, e := range a.Entries() {
		have = append(have, e.Shape)
	}
	return fmt.Errorf("%s of shapes %v does not fit a weight of shape %v", a.Form(), have, shape)
}

// equal compares shapes, axes of size one at the end aside.
func equal(a, b []int) bool {
	trim := func(s []int) []int {
		for len(s) > 0 && s[len(s)-1] == 1 {
			s = s[:len(s)-1]
		}
		return s
	}
	a, b = trim(a), trim(b)
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

package residency

import (
	"fmt"

	"comfygo/engine/onnx"
)

// estimate simulates a run for a layout.
func (c *streamed) estimate(l *layout) error {
	if c.known[l.key] {
		return nil
	}
	done := map[[32]byte]bool{}
	for _, p := range c.parts {
		if done[p.Form] {
			continue
		}
		done[p.Form] = true
		if err := c.arena.Run(c.plans[p.Form], onnx.GPURun{Symbols: l.symbols}); err != nil {
			return err
		}
	}
	c.known[l.key] = true
	return nil
}

// layout is where the values that parts pass to each other lie, for some sizes.
type layout struct {
	key     string
	symbols map[string]int
	places  map[string]valuePlace
	bytes   int
}

type valuePlace struct {
	shape []int
	at    int
}

// layout returns the layout for inputs of the given shapes.
func (c *streamed) layout(inputs map[string][]int) (*layout, error) {
	key := fmt.Sprint(inputs)
	if c.sizes != nil && c.sizes.key == key {
		return c.sizes, nil
	}
	symbols, ok := c.ctl.Symbols(inputs)
	if !ok {
		return nil, fmt.Errorf("the inputs have shapes %v, which do not fit together", inputs)
	}
	l := &layout{key: key, symbols: symbols, places: map[string]valuePlace{}}
	last := map[string]int{}
	for i, p := range c.parts {
		for _, whole := range p.Reads {
			last[whole] = i
		}
	}
	type span struct{ from, to, until int }
	var live []span // by from
	place := func(name string, v *onnx.Value, until int) error {
		shape, ok := v.Shape.Eval(symbols)
		if !ok {
			return fmt.Errorf("the shape %v of %s is not known from the inputs %v", v.Shape, name, inputs)
		}
		size := v.DType.Size()
		for _, n := range shape {
			size *= n
		}
		size = onGPU(max(size, 1))
		at, k := 0, 0
		for ; k < len(live) && live[k].from < at+size; k++ {
			at = max(at, live[k].to)
		}
		live = append(live[:k], append([]span{{at, at + size, until}}, live[k:]...)...)
		l.places[name] = valuePlace{shape, at}
		l.bytes = max(l.bytes, at+size)
		return nil
	}
	end := len(c.parts)
	for name, v := range c.given {
		if v.DType.IsFloat() {
			if err := place(name, v, end); err != nil {
				return nil, err
			}
		}
	}
	for i, p := range c.parts {
		for _, v := range p.Outputs() {
			whole := p.Writes[v.Name]
			until := last[whole]
			if c.wanted[whole] != nil {
				until = end
			}
			if err := place(whole, v, until); err != nil {
				return nil, err
			}
		}
		kept := live[:0]
		for _, s := range live {
			if s.until > i {
				kept = append(kept, s)
			}
		}
		live = kept
	}
	return l, nil
}

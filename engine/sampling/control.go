package sampling

import (
	"maps"
	"slices"
)

// lendControls gives the controls of the positive side that are for all sides to entries of the others. Upstream:
// apply_empty_x_to_equal_area.
func (g *guide) lendControls() {
	positive := -1
	for i, side := range g.guider.sides {
		if !side.Negative {
			positive = i
			break
		}
	}
	if positive < 0 || positive >= len(g.sides) {
		return
	}
	var controls []any
	for _, e := range g.sides[positive] {
		if e.area == nil && e.control != nil && e.cond.ControlForAll {
			controls = append(controls, e.control)
		}
	}
	for i, side := range g.sides {
		if i != positive {
			lend(side, controls)
		}
	}
}

// lendValues returns the sides with the values of a key that entries of the positive side have given to entries of the others,
// one after the other: entries with an area are skipped, and a side that has its own value of the key gets none.
func lendValues(sides []Side, key string) []Side {
	positive := slices.IndexFunc(sides, func(s Side) bool { return !s.Negative })
	if positive < 0 {
		return sides
	}
	var values []any
	for _, c := range sides[positive].Conds {
		if v := c.Values[key]; c.Area == nil && v != nil {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return sides
	}
	out := slices.Clone(sides)
	for i := range out {
		if i != positive {
			out[i].Conds = lentValues(slices.Clone(out[i].Conds), key, values)
		}
	}
	return out
}

func lentValues(conds []Cond, key string, values []any) []Cond {
	var without []*Cond
	for i := range conds {
		switch {
		case conds[i].Area != nil:
		case conds[i].Values[key] != nil:
			return conds
		default:
			without = append(without, &conds[i])
		}
	}
	for i, v := range values {
		if len(without) == 0 {
			break
		}
		c := without[i%len(without)]
		c.Values = maps.Clone(c.Values)
		if c.Values == nil {
			c.Values = map[string]any{}
		}
		c.Values[key] = v
	}
	return conds
}

// lend gives controls to entries without an area, one after the other; a side that has a control of its own gets none.
func lend(side []*entry, controls []any) {
	var without []*entry
	for _, e := range side {
		switch {
		case e.area != nil:
		case e.control != nil:
			return
		default:
			without = append(without, e)
		}
	}
	for i, c := range controls {
		if len(without) > 0 {
			without[i%len(without)].control = c
		}
	}
}

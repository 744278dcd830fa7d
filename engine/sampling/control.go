package sampling

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

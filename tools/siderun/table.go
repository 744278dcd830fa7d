package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// table gathers a scenario's figures of all rounds.
type table struct {
	scenario scenario
	sides    []side
	values   map[string]map[string][]float64 // by side and figure
	errs     []error
}

func newTable(s scenario, sides []side) *table {
	t := &table{scenario: s, sides: sides, values: map[string]map[string][]float64{}}
	for _, side := range sides {
		t.values[side.name] = map[string][]float64{}
	}
	return t
}

// add records the figures of one round of a side, or the reason why there are none.
func (t *table) add(side string, f figures, err error) {
	if err != nil {
		t.errs = append(t.errs, fmt.Errorf("%s: %w", side, err))
		return
	}
	for name, v := range f {
		t.values[side][name] = append(t.values[side][name], v)
	}
}

// rows lists the figures in the order in which they are printed.
func (t *table) rows() []string {
	var rows []string
	for _, r := range t.scenario.rows {
		rows = append(rows, r+", CPU s", r+", s")
	}
	return append(append(rows, t.scenario.figures...), "peak memory, MiB")
}

// print writes the medians, with the lowest and the highest value of each, and this program's ratio to the others.
func (t *table) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\n%s: %s\n\n", t.scenario.name, t.scenario.title)
	for _, s := range t.sides {
		fmt.Fprintf(w, "\t%s", s.name)
	}
	for _, s := range t.sides[1:] {
		fmt.Fprintf(w, "\tto %s", s.name)
	}
	fmt.Fprintln(w)
	for _, row := range t.rows() {
		fmt.Fprint(w, row)
		for _, s := range t.sides {
			fmt.Fprintf(w, "\t%s", cell(t.values[s.name][row]))
		}
		own := t.values[t.sides[0].name][row]
		for _, s := range t.sides[1:] {
			fmt.Fprintf(w, "\t%s", ratio(own, t.values[s.name][row]))
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i, err := range t.errs {
		if i == 0 || err.Error() != t.errs[i-1].Error() {
			fmt.Fprintln(out, "failed:", err)
		}
	}
	return nil
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

func cell(v []float64) string {
	if len(v) == 0 {
		return "-"
	}
	return fmt.Sprintf("%s (%s to %s)", short(median(v)), short(slices.Min(v)), short(slices.Max(v)))
}

func short(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func ratio(own, other []float64) string {
	if len(own) == 0 || len(other) == 0 || median(other) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", median(own)/median(other))
}

package goldencheck

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"comfygo/internal/golden"
)

// leastRMS is the smallest tolerance: what float32 arithmetic in another order of operations is worth.
const leastRMS = 1e-5

// errorOf is a float error that was measured with a golden. Where nothing could be measured the JSON holds a text.
type errorOf struct {
	RMSRel float64
}

// UnmarshalJSON reads {"rms_rel":…,"max_abs":…}; a text counts as nothing measured.
func (e *errorOf) UnmarshalJSON(b []byte) error {
	var v struct {
		RMSRel golden.Float `json:"rms_rel"`
	}
	if err := unmarshalObject(b, &v); err != nil {
		return err
	}
	if e.RMSRel = float64(v.RMSRel); math.IsNaN(e.RMSRel) || math.IsInf(e.RMSRel, 0) {
		e.RMSRel = 0
	}
	return nil
}

// errorsOf are measured errors by name. Where nothing could be measured the JSON holds a text.
type errorsOf map[string]errorOf

// UnmarshalJSON reads an object; a text counts as nothing measured.
func (e *errorsOf) UnmarshalJSON(b []byte) error {
	return unmarshalObject(b, (*map[string]errorOf)(e))
}

// tolerance is ten times the measured error, and at least leastRMS.
func tolerance(measured ...float64) golden.Tolerance {
	return golden.Tolerance{RMSRel: max(leastRMS, 10*slices.Max(append(measured, 0)))}
}

// measured holds the errors that TOLERANCES.md beside the goldens states, by file.
type measured map[string]float64

// readMeasured reads the tables of TOLERANCES.md whose first column names goldens and which have a column rms_rel. A
// golden with several rows gets the greatest figure of the same operation ("decode"), which is then the last part of
// the key.
func readMeasured(dir string) (measured, error) {
	b, err := os.ReadFile(filepath.Join(dir, "TOLERANCES.md"))
	if errors.Is(err, fs.ErrNotExist) {
		return measured{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the tolerances: %w", err)
	}
	m, columns := measured{}, []string(nil)
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(strings.TrimSpace(line), "|") {
			columns = nil
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if columns == nil {
			columns = cells
			continue
		}
		m.row(columns, cells)
	}
	return m, nil
}

func (m measured) row(columns, cells []string) {
	key, figure := cells[0], 0.0
	if !strings.Contains(key, "/") || len(cells) > len(columns) {
		return
	}
	for i, c := range cells {
		switch {
		case columns[i] == "op":
			key += " " + c
		case strings.HasPrefix(columns[i], "rms_rel"):
			figure, _ = strconv.ParseFloat(c, 64) // a text says that nothing could be measured
		}
	}
	m[key] = max(m[key], figure)
}

// tensorSet compares tensors with the stored ones of a case and gathers how far off they are.
type tensorSet struct {
	stored *golden.Tensors
	prefix string // "<case id>/"
	tol    golden.Tolerance
	worst  golden.Diff
	count  int
	errs   []error
}

// compare compares got with the stored tensor called name, whole or every K-th value of it.
func (s *tensorSet) compare(name string, got []float32) {
	s.compareWithin(name, got, s.tol)
}

func (s *tensorSet) compareWithin(name string, got []float32, tol golden.Tolerance) {
	want, err := s.stored.Find(s.prefix + name)
	if err != nil {
		s.errs = append(s.errs, err)
		return
	}
	d, err := want.Difference(got)
	if err == nil && !tol.Within(d) {
		err = fmt.Errorf("%v; allowed %s", d, allowed(tol))
	}
	if err != nil {
		s.errs = append(s.errs, fmt.Errorf("%s: %w", name, err))
	}
	s.count++
	if d.RMSRel >= s.worst.RMSRel {
		s.worst = d
	}
}

func allowed(t golden.Tolerance) string {
	if t.RMSRel == 0 {
		return fmt.Sprintf("max_abs %.3g", t.MaxAbs)
	}
	return fmt.Sprintf("rms_rel %.3g", t.RMSRel)
}

// detail returns the details of a golden that passed.
func (s *tensorSet) detail() string {
	return fmt.Sprintf("%d tensors, rms_rel %.2g, allowed %s", s.count, s.worst.RMSRel, allowed(s.tol))
}

// err joins the faults, the first three differences of them.
func (s *tensorSet) err() error {
	if n := len(s.errs); n > 3 {
		return fmt.Errorf("%w; and %d more", joined(s.errs[:3]), n-3)
	}
	return joined(s.errs)
}

// joined puts errors in one line.
func joined(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return fmt.Errorf("%w; %w", errs[0], joined(errs[1:]))
}

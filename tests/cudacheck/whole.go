package cudacheck

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
)

// Report is the result of Whole.
type Report struct {
	// Found are the findings by sample, Graphs counts the parts that were written, in all types.
	Found  map[string]*Found
	Graphs int
	// Problems are operators without a kernel, graphs that cannot be written and families without a sample.
	Problems []string
}

// Whole writes the graphs of all samples in all types. The samples that are marked for the test cover all families between
// them, the smaller ones first.
func Whole(ctx context.Context, reg *family.Registry, root string) (Report, error) {
	r := Report{Found: map[string]*Found{}}
	samples, err := Samples(root)
	if err != nil {
		return r, err
	}
	slices.SortStableFunc(samples, func(a, b Sample) int { return cmp.Compare(len(a.Tensors), len(b.Tensors)) })
	c := New(reg)
	covered := map[string]bool{}
	for _, s := range samples {
		for _, as := range Stored {
			found, families, err := c.Check(ctx, s, as)
			if err != nil && s.Whole() {
				r.Problems = append(r.Problems, fmt.Sprintf("from %s: %v", as, err))
			}
			for _, compute := range Computed {
				r.Graphs += len(found[compute])
				for _, p := range Compare(nil, compute, found[compute]) {
					r.Problems = append(r.Problems, fmt.Sprintf("%s from %s in %s: %s", s.Name, as, compute, p))
				}
			}
			if as == dtype.Invalid && len(found) > 0 {
				r.Found[s.Name] = &Found{Parts: found, Short: covers(covered, families)}
			}
		}
	}
	unwritten := c.Unwritten()
	for _, name := range slices.Sorted(maps.Keys(unwritten)) {
		if ok, err := ownTest(root, unwritten[name]); err != nil {
			return r, err
		} else if !ok {
			r.Problems = append(r.Problems, fmt.Sprintf("%s (%s): there is no sample of it or of another family of its package, and its tests do not call cudakernels.Check or familytest.CheckCUDA", name, unwritten[name]))
		}
	}
	return r, nil
}

// covers adds families to those that are covered, and reports whether one is new.
func covers(covered map[string]bool, families []string) bool {
	n := len(covered)
	for _, name := range families {
		covered[name] = true
	}
	return len(covered) > n
}

// ownTest reports whether a package has a test that looks the operators of its graphs up.
func ownTest(root, folder string) (bool, error) {
	paths, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(folder), "*_test.go"))
	if err != nil {
		return false, err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return false, err
		}
		for _, call := range []string{"cudakernels.Check(", "familytest.CheckCUDA(", "familytest.CheckKernels("} {
			if strings.Contains(string(text), call) {
				return true, nil
			}
		}
	}
	return false, nil
}

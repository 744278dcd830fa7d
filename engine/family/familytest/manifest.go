package familytest

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/weights"
	"comfygo/internal/recipe"
	"comfygo/tests/golden"
)

// Manifest is the model that a manifest of the goldens describes, with all of its floating-point weights in one type, or as
// they are stored if the type is Invalid. Weights have no bytes, except for those that the host reads.
func Manifest(t *testing.T, name string, stored dtype.DType) weights.Source {
	t.Helper()
	m, err := recipe.Load(filepath.Join(filepath.Dir(golden.Path(t, "models/x")), name+".json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	var list []weights.Entry
	for _, x := range m.Tensors {
		e := weights.Entry{Name: x.Key, DType: x.DType, Shape: x.Shape}
		if e.DType.IsFloat() && stored != dtype.Invalid {
			e.DType = stored
		}
		e.TypeName = e.DType.String()
		if len(e.Shape) == 0 || strings.HasSuffix(x.Key, "token_embedding.weight") || strings.HasSuffix(x.Key, "text_projection.weight") || strings.HasSuffix(x.Key, "pos_embed") {
			e.Data = make([]byte, e.Count()*e.DType.Size()) // what the host reads
		}
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b weights.Entry) int { return strings.Compare(a.Name, b.Name) })
	return dryrun.Described(list)
}

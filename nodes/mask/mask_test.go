package mask_test

import (
	"os"
	"strings"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/mask"
)

// The recorded calls of these classes run in package nodes/image.

func TestMaskPreview(t *testing.T) {
	t.Parallel()
	f, err := folders.New(folders.Config{Base: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx := nodes.TestContext(t.Context(), nodes.Services{Folders: f, Metadata: true})
	m := tensor.New(1, 3, 4)
	r, err := (&mask.MaskPreview{Mask: m}).Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ui, err := pyjson.Marshal(r.UI)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(ui); !strings.HasPrefix(s, `{"images": [{"filename": "ComfyUI_temp_`) || !strings.HasSuffix(s, `_00001_.png", "subfolder": "", "type": "temp"}], "animated": [false]}`) {
		t.Errorf("the client gets %s", s)
	}
	if files, err := os.ReadDir(f.Temp()); err != nil || len(files) != 1 {
		t.Errorf("temp holds %v, %v", files, err)
	}
	if r.Values[0] != m {
		t.Error("the mask is not passed on")
	}
}

func TestImageToMaskWithoutAlpha(t *testing.T) {
	t.Parallel()
	_, err := (&mask.ImageToMask{Image: tensor.ViewOf(tensor.New(1, 2, 2, 3)), Channel: "alpha"}).Run(nil)
	if err == nil || !strings.Contains(err.Error(), "alpha") {
		t.Errorf("got %v", err)
	}
}

// TestGrowMaskKeepsItsInput: values that came over links must not change.
func TestGrowMaskKeepsItsInput(t *testing.T) {
	t.Parallel()
	ctx := nodes.TestContext(t.Context(), nodes.Services{})
	m := tensor.New(1, 5, 5)
	m.Data[12] = 1
	r, err := (&mask.GrowMask{Mask: m, Expand: 1, Tapered: true}).Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var before, after float32
	for i := range m.Data {
		before += m.Data[i]
		after += r.Values[0].(*tensor.Tensor).Data[i]
	}
	if before != 1 || after != 5 {
		t.Errorf("the input has %g marked places, the output %g", before, after)
	}
}

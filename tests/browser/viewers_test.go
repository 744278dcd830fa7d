package browser_test

import (
	"image"
	_ "image/png" // screenshots
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"comfygo/internal/geometry"
	"comfygo/internal/geometry/glb"
	"comfygo/tests/browser"
)

const viewers = `{"1": {"class_type": "Load3D", "inputs": {"model_file": "3d/cube.glb", "image": {}, "width": 128, "height": 128}},
	"2": {"class_type": "Preview3D", "inputs": {"model_file": ["1", 6]}, "_meta": {"title": "preview"}},
	"3": {"class_type": "SaveGLB", "inputs": {"mesh": ["1", 6], "filename_prefix": "3d/saved"}},
	"4": {"class_type": "EmptyImage", "inputs": {"width": 96, "height": 64, "batch_size": 1, "color": 16711680}},
	"5": {"class_type": "EmptyImage", "inputs": {"width": 96, "height": 64, "batch_size": 1, "color": 65280}},
	"6": {"class_type": "ImageCompare", "inputs": {"image_a": ["4", 0], "image_b": ["5", 0], "compare_view": {}}},
	"7": {"class_type": "StringConcatenate", "inputs": {"string_a": "shown by", "string_b": "PreviewAny", "delimiter": " "}},
	"8": {"class_type": "PreviewAny", "inputs": {"source": ["7", 0]}}}`

// TestFrontEndShowsViewers: a 3D file that Load3D opened is drawn by the viewers of Load3D, Preview3D and SaveGLB, ImageCompare's slider
// has both images, and PreviewAny shows its text.
func TestFrontEndShowsViewers(t *testing.T) {
	t.Parallel()
	f := openFront(t)
	writeCube(t, filepath.Join(f.server.Dir, "input", "3d", "cube.glb"))
	f.Reload() // the choices of Load3D
	f.ready()
	f.load([]byte(viewers), "viewers")
	f.closeDialogs()
	f.command("Comfy.Canvas.FitView") // nodes out of sight have no elements
	f.settle()
	f.Forget()
	f.run()
	f.WaitFor("the text is shown", "[...document.querySelectorAll('textarea')].some(e => e.value === 'shown by PreviewAny') || document.body.innerText.includes('shown by PreviewAny')")
	for _, name := range []string{"preview3d_", "saved_00001_.glb"} {
		f.until("the viewer has loaded "+name, func() bool {
			r := f.Requests(`/api/view\?.*` + name)
			return len(r) > 0 && r[0].Status == 200
		})
	}
	f.until("three viewers draw the cube", func() bool { return boxes(t, f.Shot("viewers")) == 3 })
	// The slider is there with nodes of the newer kind only.
	browser.Eval[chromedp.Void](f.Page, "app.extensionManager.setting.set('Comfy.VueNodes.Enabled', true)")
	f.settle()
	f.run()
	f.WaitFor("the slider has both images", "[...document.querySelectorAll('img')].filter(i => i.naturalWidth === 96 && i.naturalHeight === 64).length >= 2")
	f.Shot("slider")
	f.Clean(baseline...)
}

// boxes counts the connected areas of a screenshot with magenta, the color of the cube alone.
func boxes(t *testing.T, path string) int {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	shot, _, err := image.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	b := shot.Bounds()
	seen := make(map[image.Point]bool)
	magenta := func(p image.Point) bool {
		r, g, b, _ := shot.At(p.X, p.Y).RGBA()
		return r > 0xf000 && b > 0xf000 && g < 0x1000
	}
	count := 0
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			size := 0
			for todo := []image.Point{{X: x, Y: y}}; len(todo) > 0; {
				p := todo[len(todo)-1]
				todo = todo[:len(todo)-1]
				if !p.In(b) || seen[p] || !magenta(p) {
					continue
				}
				seen[p] = true
				size++
				todo = append(todo, p.Add(image.Pt(1, 0)), p.Add(image.Pt(-1, 0)), p.Add(image.Pt(0, 1)), p.Add(image.Pt(0, -1)))
			}
			if size > 100 {
				count++
			}
		}
	}
	return count
}

// writeCube writes a GLB file of a cube without light.
func writeCube(t *testing.T, path string) {
	t.Helper()
	it := geometry.Item{Channels: 3}
	for i := range 8 {
		x, y, z := float32(i&1), float32(i>>1&1), float32(i>>2)
		it.Vertices = append(it.Vertices, x-0.5, y-0.5, z-0.5)
		it.Colors = append(it.Colors, 1, 0, 1)
	}
	it.Faces = []int32{0, 2, 1, 1, 2, 3, 4, 5, 6, 5, 7, 6, 0, 1, 4, 1, 5, 4, 2, 6, 3, 3, 6, 7, 0, 4, 2, 2, 4, 6, 1, 3, 5, 3, 7, 5}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	w, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := glb.Write(t.Context(), w, &geometry.Mesh{Items: []geometry.Item{it}, Unlit: true}, 0, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

package server_test

import (
	"fmt"
	"strings"
	"testing"

	"comfygo/auth"
	"comfygo/executor"
	"comfygo/nodes"
	_ "comfygo/nodes/all"
	"comfygo/server"
)

// TestMegapixelsOfNodes has the real nodes make more than their inputs seem to say, under a limit of one megapixel. Each
// graph is refused before anything of it runs.
func TestMegapixelsOfNodes(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, func(c *server.Config) {
		c.Executor = executor.New(executor.Config{Registry: nodes.Default(), Services: nodes.Services{Folders: c.Folders}})
	})
	if _, err := a.store.SetLimits(t.Context(), byAdmin, auth.RoleUser, auth.Limits{Megapixels: 1}); err != nil {
		t.Fatal(err)
	}
	body, kind := uploadForm(t, "photo.png", string(testPNG(t, 1200, 1000)))
	if got := a.as("ann", "POST", "/upload/image", body, "Content-Type", kind); got.status != 200 {
		t.Fatal(got.body)
	}
	node := func(id, class, inputs string) string {
		return fmt.Sprintf(`"%s": {"class_type": "%s", "inputs": {%s}}, `, id, class, inputs)
	}
	empty := func(id string, width, height, batch int) string {
		return node(id, "EmptyImage", fmt.Sprintf(`"width": %d, "height": %d, "batch_size": %d, "color": 0`, width, height, batch))
	}
	latent := func(id string, width, height, batch int) string {
		return node(id, "EmptyLatentImage", fmt.Sprintf(`"width": %d, "height": %d, "batch_size": %d`, width, height, batch))
	}
	doubled := empty("a0", 64, 64, 1)
	latents := latent("b0", 64, 64, 1)
	for i := range 20 {
		doubled += node(fmt.Sprint("a", i+1), "ImageBatch", fmt.Sprintf(`"image1": ["a%d", 0], "image2": ["a%d", 0]`, i, i))
		latents += node(fmt.Sprint("b", i+1), "LatentBatch", fmt.Sprintf(`"samples1": ["b%d", 0], "samples2": ["b%d", 0]`, i, i))
	}
	const scale = `"upscale_method": "area", "crop": "disabled", `
	const stitch = `"image1": ["1", 0], "image2": ["2", 0], "spacing_color": "white", "spacing_width": 0, `
	const resize = `"input": ["1", 0], "scale_method": "area", `
	for name, c := range map[string]struct{ nodes, last, want string }{
		"joined":                   {empty("1", 512, 512, 1) + node("2", "ImageBatch", `"image1": ["1", 0], "image2": ["1", 0]`), "2", ""},
		"joined again and again":   {doubled, "a20", "too many"},
		"latents joined":           {latents + node("p", "SaveLatent", `"samples": ["b20", 0], "filename_prefix": "x"`), "", "too many"},
		"joined in a list":         {empty("1", 64, 64, 1) + node("2", "BatchImagesNode", `"images.image0": ["1", 0], "images.image1": ["1", 0]`), "2", ""},
		"small ones in a large":    {empty("1", 900, 900, 1) + empty("2", 8, 8, 64) + node("3", "ImageBatch", `"image1": ["1", 0], "image2": ["2", 0]`), "3", "too many"},
		"blended with many":        {empty("1", 900, 900, 1) + empty("2", 8, 8, 64) + node("3", "ImageBlend", `"image1": ["1", 0], "image2": ["2", 0], "blend_factor": 0.5, "blend_mode": "normal"`), "3", "too many"},
		"a list times a batch":     {empty("1", 64, 64, 64) + node("2", "RebatchImages", `"images": ["1", 0], "batch_size": 1`) + node("3", "ImageBatch", `"image1": ["2", 0], "image2": ["1", 0]`), "3", "too many"},
		"a list":                   {empty("1", 64, 64, 64) + node("2", "RebatchImages", `"images": ["1", 0], "batch_size": 1`) + node("3", "ImageInvert", `"image": ["2", 0]`), "3", ""},
		"padded":                   {empty("1", 64, 64, 1) + node("2", "ImagePadForOutpaint", `"image": ["1", 0], "left": 8192, "right": 8192, "top": 8192, "bottom": 0, "feathering": 0`), "2", "too many"},
		"padded a little":          {empty("1", 64, 64, 1) + node("2", "ImagePadForOutpaint", `"image": ["1", 0], "left": 64, "right": 64, "top": 0, "bottom": 0, "feathering": 0`), "2", ""},
		"fitted and padded":        {empty("1", 64, 64, 1) + node("2", "ResizeAndPadImage", `"image": ["1", 0], "target_width": 9000, "target_height": 9000, "padding_color": "white", "interpolation": "area"`), "2", "too many"},
		"to a largest side":        {empty("1", 64, 64, 1) + node("2", "ImageScaleToMaxDimension", `"image": ["1", 0], "upscale_method": "area", "largest_size": 9000`), "2", "too many"},
		"an old class":             {empty("1", 64, 64, 1) + strings.Replace(node("2", "ResizeImagesByLongerEdge", `"images": ["1", 0], "longer_edge": 9000`), `{`, `{"_meta": {"title": "old"}, `, 1), "2", "too many"},
		"a side of 0":              {empty("1", 64, 8, 1) + node("2", "ImageScale", scale+`"image": ["1", 0], "width": 0, "height": 4096`), "2", "too many"},
		"a side of 0, small":       {empty("1", 64, 128, 1) + node("2", "ImageScale", scale+`"image": ["1", 0], "width": 0, "height": 512`), "2", ""},
		"a side of 0 of a crop":    {empty("1", 64, 64, 1) + node("2", "ImageCrop", `"image": ["1", 0], "x": 63, "y": 0, "width": 64, "height": 64`) + node("3", "ImageScale", scale+`"image": ["2", 0], "width": 64, "height": 0`), "3", "cannot be told"},
		"an unused size":           {empty("1", 512, 512, 1) + node("2", "ImageScaleBy", `"image": ["1", 0], "upscale_method": "area", "scale_by": 8.0, "width": 1, "height": 1`), "2", "too many"},
		"stitched":                 {empty("1", 512, 512, 1) + empty("2", 512, 512, 1) + node("3", "ImageStitch", stitch+`"direction": "right", "match_image_size": false`), "3", "too many"},
		"stitched small":           {empty("1", 256, 256, 1) + empty("2", 256, 256, 1) + node("3", "ImageStitch", stitch+`"direction": "right", "match_image_size": true`), "3", ""},
		"stitched and matched":     {empty("1", 8, 8192, 1) + empty("2", 8192, 8, 1) + node("3", "ImageStitch", stitch+`"direction": "right", "match_image_size": true`), "3", "too many"},
		"matched by another value": {empty("1", 64, 8, 1) + empty("2", 8192, 64, 1) + node("3", "ImageStitch", stitch+`"direction": "down", "match_image_size": 0`), "3", "too many"},
		"multiplied":               {empty("1", 512, 512, 1) + node("2", "ResizeImageMaskNode", resize+`"resize_type": "scale by multiplier", "resize_type.multiplier": 8.0, "resize_type.multiple": 8`), "2", "too many"},
		"multiplied little":        {empty("1", 256, 256, 1) + node("2", "ResizeImageMaskNode", resize+`"resize_type": "scale by multiplier", "resize_type.multiplier": 2.0`), "2", ""},
		"the shorter side":         {empty("1", 4096, 8, 1) + node("2", "ResizeImageMaskNode", resize+`"resize_type": "scale shorter dimension", "resize_type.shorter_size": 512`), "2", "too many"},
		"matched to another":       {empty("1", 64, 64, 4) + empty("2", 900, 900, 1) + node("3", "ResizeImageMaskNode", resize+`"resize_type": "match size", "resize_type.match": ["2", 0], "resize_type.crop": "disabled"`), "3", "too many"},
		"a photo, scaled down":     {node("1", "LoadImage", `"image": "photo.png"`) + node("2", "ImageScale", scale+`"image": ["1", 0], "width": 512, "height": 512`), "2", ""},
		"latents concatenated":     {latent("1", 512, 512, 1) + latent("2", 512, 2048, 1) + node("3", "LatentConcat", `"samples1": ["1", 0], "samples2": ["2", 0], "dim": "y"`) + node("p", "SaveLatent", `"samples": ["3", 0], "filename_prefix": "x"`), "", "too many"},
		"latents in slices": {
			latent("1", 512, 512, 1) + node("2", "LatentCutToBatch", `"samples": ["1", 0], "dim": "x", "slice_size": 1`) +
				node("3", "LatentUpscale", scale+`"samples": ["2", 0], "width": 512, "height": 512`) + node("p", "SaveLatent", `"samples": ["3", 0], "filename_prefix": "x"`), "", "too many",
		},
	} {
		graph := c.nodes
		if c.last != "" {
			graph += node("p", "PreviewImage", `"images": ["`+c.last+`", 0]`)
		}
		got := a.as("ann", "POST", "/prompt", `{"prompt": {`+strings.TrimSuffix(graph, ", ")+`}}`)
		want := c.want
		if want == "too many" {
			want = "the job makes"
		}
		if want == "" && got.status != 200 || want != "" && (got.status != 403 || !strings.Contains(got.body, want)) {
			t.Errorf("%s: %d %s, want %q", name, got.status, got.body, c.want)
		}
	}
}

package browser_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"comfygo/tests/browser"
)

// deflated packs as zlib does.
func deflated(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pngWith is a small image with one chunk put in behind its header.
func pngWith(t *testing.T, kind string, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	const header = 8 + 25                                          // signature, IHDR
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(body))) //nolint:gosec // short
	chunk = append(append(chunk, kind...), body...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	data := b.Bytes()
	return append(append(append([]byte{}, data[:header]...), chunk...), data[header:]...)
}

// exif is a directory with one text, as ComfyUI writes it for WebP: tag 0x0110.
func exif(text string) []byte {
	data := []byte("II*\x00\x08\x00\x00\x00\x01\x00\x10\x01\x02\x00")
	data = binary.LittleEndian.AppendUint32(data, uint32(len(text)+1)) //nolint:gosec // short
	data = binary.LittleEndian.AppendUint32(data, 26)
	data = append(data, 0, 0, 0, 0)
	return append(append(data, text...), 0)
}

// webpWith is the frame of a WebP with an EXIF block.
func webpWith(block []byte) []byte {
	body := append([]byte("WEBPVP8 \x01\x00\x00\x00\x00\x00EXIF"), binary.LittleEndian.AppendUint32(nil, uint32(len(block)))...) //nolint:gosec // short
	body = append(body, block...)
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...) //nolint:gosec // short
}

// TestAppDrop drops the same workflow in every form in which it can come; each has another seed.
func TestAppDrop(t *testing.T) {
	t.Parallel()
	s := browser.Start(t, "--demo-model")
	p := browser.Open(t, s, "/app")
	p.Wait("#run")
	seeded := func(seed uint64) []byte {
		return demoGraph(t, func(g graph) { g["3"].Inputs["seed"] = seed })
	}
	for _, c := range []struct {
		name string
		data []byte
		seed string
	}{
		{"api.json", seeded(101), "101"},
		{"request.json", append(append([]byte(`{"client_id": "x", "prompt": `), seeded(102)...), '}'), "102"},
		{"as python writes.json", bytes.Replace(seeded(109), []byte(`"class_type"`), []byte(`"is_changed": [NaN, -Infinity, "NaN"], "class_type"`), 1), "109"},
		{"large seed.json", seeded(18446744073709551615), "18446744073709551615"},
		{"text.png", pngWith(t, "tEXt", append([]byte("prompt\x00"), seeded(103)...)), "103"},
		{"packed.png", pngWith(t, "zTXt", append([]byte("prompt\x00\x00"), deflated(t, seeded(104))...)), "104"},
		{"international.png", pngWith(t, "iTXt", append([]byte("prompt\x00\x00\x00en\x00Eingabe\x00"), seeded(105)...)), "105"},
		{"both.png", pngWith(t, "iTXt", append([]byte("prompt\x00\x01\x00\x00\x00"), deflated(t, seeded(106))...)), "106"},
		{"picture.webp", webpWith(exif("prompt:" + string(seeded(107)))), "107"},
		{"photo.jpg", append(append([]byte{0xff, 0xd8, 0xff, 0xe1}, length(exif("Prompt:"+string(seeded(108))))...), 0xff, 0xda, 0, 2), "108"},
	} {
		p.Drop("body", file(t, c.name, c.data))
		p.WaitFor(c.name+" is in the form", "document.querySelector('[data-input=seed] input')?.value === '"+c.seed+"'")
	}
	p.Shot("dropped")
	p.Drop("body", file(t, "large.json", seeded(18446744073709551614)))
	p.WaitFor("the large seed is in the form", "document.querySelector('[data-input=seed] input').value === '18446744073709551614'")
	p.Click("#run")
	p.WaitFor("the image is there", done)
	if got := p.Text(".caption"); !bytes.Contains([]byte(got), []byte("seed 18446744073709551614")) {
		t.Errorf("a seed of 64 bits became %q", got)
	}
	made, err := filepath.Glob(filepath.Join(s.Dir, "output", "*.png"))
	if err != nil || len(made) != 1 {
		t.Fatalf("the output folder has %q (%v)", made, err)
	}
	p.Drop("body", file(t, "other.json", seeded(1)))
	p.WaitFor("another one is in the form", "document.querySelector('[data-input=seed] input').value === '1'")
	p.Drop("body", made[0])
	p.WaitFor("the saved image's own seed is back", "document.querySelector('[data-input=seed] input').value === '18446744073709551614'")
	p.Clean()
}

// saved is the demo workflow as the frontend saves it, with seed 77, a note and a reroute.
const saved = `{"version": 0.4, "last_node_id": 9, "last_link_id": 10, "nodes": [
{"id": 4, "type": "CheckpointLoaderSimple", "mode": 0, "inputs": [], "outputs": [{"name": "MODEL", "type": "MODEL", "links": [1]}, {"name": "CLIP", "type": "CLIP", "links": [2, 3]}, {"name": "VAE", "type": "VAE", "links": [4]}], "widgets_values": ["demo-shapes.safetensors"]},
{"id": 6, "type": "CLIPTextEncode", "title": "Positive prompt", "mode": 0, "inputs": [{"name": "clip", "type": "CLIP", "link": 2}], "outputs": [{"name": "CONDITIONING", "type": "CONDITIONING", "links": [5]}], "widgets_values": ["a saved house"]},
{"id": 7, "type": "CLIPTextEncode", "mode": 0, "inputs": [{"name": "clip", "type": "CLIP", "link": 3}], "outputs": [{"name": "CONDITIONING", "type": "CONDITIONING", "links": [6]}], "widgets_values": ["text"]},
{"id": 5, "type": "EmptyLatentImage", "mode": 0, "inputs": [], "outputs": [{"name": "LATENT", "type": "LATENT", "links": [7]}], "widgets_values": [64, 64, 1]},
{"id": 3, "type": "KSampler", "mode": 0, "inputs": [{"name": "model", "type": "MODEL", "link": 1}, {"name": "positive", "type": "CONDITIONING", "link": 5}, {"name": "negative", "type": "CONDITIONING", "link": 6}, {"name": "latent_image", "type": "LATENT", "link": 7}], "outputs": [{"name": "LATENT", "type": "LATENT", "links": [8]}], "widgets_values": [77, "randomize", 4, 5, "euler", "normal", 1]},
{"id": 1, "type": "Reroute", "mode": 0, "inputs": [{"name": "", "type": "*", "link": 8}], "outputs": [{"name": "", "type": "LATENT", "links": [10]}]},
{"id": 8, "type": "VAEDecode", "mode": 0, "inputs": [{"name": "samples", "type": "LATENT", "link": 10}, {"name": "vae", "type": "VAE", "link": 4}], "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [9]}]},
{"id": 9, "type": "SaveImage", "mode": 0, "inputs": [{"name": "images", "type": "IMAGE", "link": 9}], "outputs": [], "widgets_values": ["saved"]},
{"id": 2, "type": "Note", "mode": 0, "widgets_values": ["only words"]}],
"links": [[1, 4, 0, 3, 0, "MODEL"], [2, 4, 1, 6, 0, "CLIP"], [3, 4, 1, 7, 0, "CLIP"], [4, 4, 2, 8, 1, "VAE"], [5, 6, 0, 3, 1, "CONDITIONING"], [6, 7, 0, 3, 2, "CONDITIONING"], [7, 5, 0, 3, 3, "LATENT"], [8, 3, 0, 1, 0, "LATENT"], [10, 1, 0, 8, 0, "LATENT"], [9, 8, 0, 9, 0, "IMAGE"]]}`

// TestAppSaved opens a workflow as the frontend saves it: from a file, from an image, and from the saved ones.
func TestAppSaved(t *testing.T) {
	t.Parallel()
	s := browser.Start(t, "--demo-model")
	folder := filepath.Join(s.Dir, "user", "default", "workflows")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "kept one.json"), []byte(saved), 0o600); err != nil {
		t.Fatal(err)
	}
	p := browser.Open(t, s, "/app")
	p.Wait("#run")
	shown := "document.querySelector('[data-input=seed] input')?.value === '77' && document.querySelector('[data-node=\"6\"] textarea').value === 'a saved house'"
	for name, data := range map[string][]byte{"saved.json": []byte(saved), "saved.png": pngWith(t, "tEXt", append([]byte("workflow\x00"), saved...))} {
		p.Drop("body", file(t, name, data))
		p.WaitFor(name+" is in the form", shown)
		p.Drop("body", file(t, "between.json", demoGraph(t, nil)))
		p.WaitFor("another one is in the form", "document.querySelector('[data-input=seed] input').value === '42'")
	}
	p.Click("#open")
	p.WaitFor("the saved one is offered", "[...document.querySelectorAll('.saved strong')].some(e => e.textContent === 'kept one')")
	p.Shot("open")
	p.ClickText(".saved strong", "kept one")
	p.WaitFor("it is in the form", shown)
	p.Click("#run")
	p.WaitFor("the image is there", done)
	p.Clean()
}

// length puts a JPEG segment's length and EXIF's name in front of a block.
func length(block []byte) []byte {
	name := "Exif\x00\x00"
	return append(append(binary.BigEndian.AppendUint16(nil, uint16(2+len(name)+len(block))), name...), block...) //nolint:gosec // short
}

// TestAppPaste pastes a workflow's text and an image, anywhere and into a field, where text stays text.
func TestAppPaste(t *testing.T) {
	t.Parallel()
	s := browser.Start(t, "--demo-model")
	p := browser.Open(t, s, "/app")
	p.Wait("#run")
	paste := func(at, fillIn string) {
		browser.Eval[chromedp.Void](p, `(() => { const held = new DataTransfer(); `+fillIn+`
			document.querySelector(`+jsString(at)+`).dispatchEvent(new ClipboardEvent('paste', {clipboardData: held, bubbles: true, cancelable: true})) })()`)
	}
	seeded := func(seed int) string {
		return string(demoGraph(t, func(g graph) { g["3"].Inputs["seed"] = seed }))
	}
	paste("body", "held.setData('text/plain', "+jsString(seeded(201))+");")
	p.WaitFor("the text is in the form", "document.querySelector('[data-input=seed] input').value === '201'")
	data, err := json.Marshal(pngWith(t, "tEXt", append([]byte("prompt\x00"), seeded(202)...)))
	if err != nil {
		t.Fatal(err)
	}
	paste("body", "held.items.add(new File([Uint8Array.from(atob("+string(data)+"), c => c.charCodeAt(0))], 'image.png', {type: 'image/png'}));")
	p.WaitFor("the image's is in the form", "document.querySelector('[data-input=seed] input').value === '202'")
	paste("[data-node='6'] textarea", "held.setData('text/plain', "+jsString(seeded(203))+");")
	paste("body", "held.setData('text/plain', 'only words');")
	if got := browser.Eval[string](p, "document.querySelector('[data-input=seed] input').value"); got != "202" {
		t.Errorf("text for a field was taken for a workflow: the seed is %s", got)
	}
	paste("body", "held.setData('text/plain', '{\"a\": 1}');")
	p.WaitFor("what is no workflow is refused", "document.querySelector('.notice.bad')?.textContent.includes('a workflow')")
	p.Clean()
}

// TestAppDropRefused drops what is not a workflow: a message says so, and what was there stays.
func TestAppDropRefused(t *testing.T) {
	t.Parallel()
	s := browser.Start(t, "--demo-model")
	p := browser.Open(t, s, "/app")
	p.Wait("#run")
	bomb := deflated(t, make([]byte, 80<<20))
	for _, c := range []struct{ name, data, want string }{
		{"plain.png", string(pngWith(t, "tEXt", []byte("Comment\x00hello"))), "no ComfyUI workflow"},
		{"other.png", string(pngWith(t, "tEXt", []byte("parameters\x00steps: 20"))), "another program"},
		{"broken.png", string(pngWith(t, "tEXt", []byte("prompt\x00{broken"))), "no ComfyUI workflow"},
		{"bomb.png", string(pngWith(t, "zTXt", append([]byte("prompt\x00\x00"), bomb...))), "too large"},
		{"cut.png", "\x89PNG\r\n\x1a\n\x00\x00", "no ComfyUI workflow"},
		{"cut.webp", "RIFF\xff\xff\xff\xffWEBPEXIF\xff\xff\xff\xff", "no ComfyUI workflow"},
		{"list.json", `[1, 2, 3]`, "isn't a workflow"},
		{"words.json", `hello`, "neither a workflow nor an image"},
		{"empty.json", ``, "neither a workflow nor an image"},
		{"other.json", `{"a": {"b": 1}}`, "isn't a workflow"},
		{"deep.json", `{"prompt": {"1": {"class_type": 5}}}`, "isn't a workflow"},
	} {
		p.Drop("body", file(t, c.name, []byte(c.data)))
		p.WaitFor(c.name+" is refused", "[...document.querySelectorAll('.notice.bad')].some(n => n.textContent.includes("+jsString(c.name)+") && n.textContent.includes("+jsString(c.want)+"))")
	}
	p.Shot("refused")
	if got := p.Text("h1"); got != "Demo" {
		t.Errorf("the workflow became %q", got)
	}
	p.Clean()
}

// TestAppImage gives an image to an input: by dropping it on the field, and by the file dialog.
func TestAppImage(t *testing.T) {
	t.Parallel()
	s := browser.Start(t, "--demo-model")
	p := browser.Open(t, s, "/app")
	p.Wait("#run")
	p.Click("#open")
	p.Shot("open")
	p.ClickText(".choice strong", "Image to image")
	p.Wait(".drop-zone")
	p.WaitFor("an image is asked for", "document.querySelector('[data-input=image] .field-error').textContent.includes('needed')")
	p.Click("#run")
	if n := len(p.Requests("^/prompt")); n != 0 {
		t.Errorf("%d prompts were sent without an image", n)
	}
	first, second := file(t, "first.png", smallPNG(t, 64)), file(t, "second.png", smallPNG(t, 72))
	p.Drop(".drop-zone", first)
	p.WaitFor("the image is sent and shown", "document.querySelector('.input-picture').naturalWidth === 64")
	p.Choose(".drop-zone input[type=file]", second)
	p.WaitFor("the other image is sent and shown", "document.querySelector('.input-picture').naturalWidth === 72")
	p.Shot("image")
	if _, err := os.Stat(filepath.Join(s.Dir, "input", "first.png")); err != nil {
		t.Error(err)
	}
	p.Fill("[data-input=steps] input", "2")
	p.Click("#run")
	p.WaitFor("the image is there", done+" && document.querySelector('.frame img').naturalWidth === 72")
	p.Clean()
}

func smallPNG(t *testing.T, size int) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, size, size))
	for i := range img.Pix {
		img.Pix[i] = uint8(i * 7)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

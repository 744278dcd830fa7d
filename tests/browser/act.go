package browser

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/device"
)

// Click clicks the element in its middle with the mouse, once it can be seen.
func (p *Page) Click(css string) {
	p.t.Helper()
	p.Do("clicking "+css, chromedp.Click(chromedp.CSS(css), chromedp.NodeVisible))
}

// ClickText clicks the first visible element below css whose whole text is the given one.
func (p *Page) ClickText(css, text string) {
	p.t.Helper()
	find := "[...document.querySelectorAll(" + quote(css) + ")].find(e => e.checkVisibility() && e.textContent.trim() === " + quote(text) + ")"
	p.WaitFor("there is "+css+" with the text "+text, find)
	at := Eval[[]float64](p, "(() => { const e = "+find+"; e.scrollIntoView({block: 'center', behavior: 'instant'}); "+
		"const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()")
	p.Do("clicking "+text, chromedp.MouseClickXY(at[0], at[1]))
}

// Type writes into the element, key by key, after its content.
func (p *Page) Type(css, text string) {
	p.t.Helper()
	p.Do("typing into "+css, chromedp.SendKeys(chromedp.CSS(css), text, chromedp.NodeVisible))
}

// Fill replaces the content of a field and sends the page the events input and change.
func (p *Page) Fill(css, text string) {
	p.t.Helper()
	p.Wait(css)
	Eval[chromedp.Void](p, "(() => { const e = document.querySelector("+quote(css)+"); e.focus(); e.value = "+quote(text)+
		"; e.dispatchEvent(new Event('input', {bubbles: true})); e.dispatchEvent(new Event('change', {bubbles: true})) })()")
}

// Press presses keys at the current focus: characters, or names of package kb such as kb.Enter and kb.Tab.
func (p *Page) Press(keys string, modifiers ...chromedp.Modifier) {
	p.t.Helper()
	p.Do("pressing keys", chromedp.KeyEvent(keys, chromedp.KeyModifiers(modifiers...)))
}

// Choose gives files to a file field, as its dialog would.
func (p *Page) Choose(css string, files ...string) {
	p.t.Helper()
	p.Do("choosing files in "+css, chromedp.SetUploadFiles(chromedp.CSS(css), files, chromedp.NodeReady))
}

// Drop drops files on an element, as from a file manager.
func (p *Page) Drop(css string, files ...string) {
	p.t.Helper()
	type file struct{ Name, Data string }
	var list []file
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			p.t.Fatalf("reading what is to be dropped: %v", err)
		}
		list = append(list, file{filepath.Base(f), base64.StdEncoding.EncodeToString(data)})
	}
	text, err := json.Marshal(list)
	if err != nil {
		p.t.Fatal(err)
	}
	Eval[chromedp.Void](p, `(() => {
		const types = {png: 'image/png', webp: 'image/webp', jpg: 'image/jpeg', json: 'application/json'};
		const held = new DataTransfer();
		for (const f of `+string(text)+`) {
			const bytes = Uint8Array.from(atob(f.Data), c => c.charCodeAt(0));
			held.items.add(new File([bytes], f.Name, {type: types[f.Name.split('.').pop()] ?? ''}));
		}
		const e = document.querySelector(`+quote(css)+`), r = e.getBoundingClientRect();
		for (const kind of ['dragenter', 'dragover', 'drop'])
			e.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true, composed: true, dataTransfer: held,
				clientX: r.x + r.width / 2, clientY: r.y + r.height / 2}));
	})()`)
}

// Resize sets the size of the page in CSS pixels.
func (p *Page) Resize(width, height int64) {
	p.t.Helper()
	p.Do("resizing", chromedp.EmulateViewport(width, height))
}

// Phone makes the page that of a phone: a narrow touch screen of three device pixels a CSS pixel.
func (p *Page) Phone() {
	p.t.Helper()
	p.Do("being a phone", chromedp.Emulate(device.IPhone13))
}

// Prefer sets media features, such as Prefer("prefers-color-scheme", "dark") or ("prefers-reduced-motion", "reduce").
// Each call replaces the one before.
func (p *Page) Prefer(pairs ...string) {
	p.t.Helper()
	params := emulation.SetEmulatedMediaParams{}
	for i := 0; i+1 < len(pairs); i += 2 {
		params.Features = append(params.Features, &emulation.MediaFeature{Name: pairs[i], Value: pairs[i+1]})
	}
	p.Do("setting media features", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, params)
		return err
	}))
}

// Spoken is one element as a screen reader reads it.
type Spoken struct{ Role, Name string }

// Speaks returns the elements that a screen reader reads, in the page's order.
func (p *Page) Speaks() []Spoken {
	p.t.Helper()
	nodes := Run(p, "reading the accessibility tree", func(ctx context.Context, t *chromedp.Target) ([]*accessibility.Node, error) {
		r, err := cdp.Call(ctx, t, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		return r.Nodes, err
	})
	var out []Spoken
	for _, n := range nodes {
		if !n.Ignored && n.Role != nil {
			out = append(out, Spoken{axText(n.Role), axText(n.Name)})
		}
	}
	return out
}

func axText(v *accessibility.Value) string {
	var s string
	if v == nil || len(v.Value) == 0 || json.Unmarshal(v.Value, &s) != nil {
		return ""
	}
	return s
}

// quote makes a JavaScript string.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(b)
}

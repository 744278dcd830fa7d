package browser_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"comfygo/demo"
	"comfygo/internal/ffmpeg"
	"comfygo/tests/browser"
)

// baseline holds the front end's errors with ComfyUI's own server, too: files that a new user does not have, and one line of
// its own.
var baseline = []string{
	`^request: 404 GET .*/user\.css$`,
	`^request: 404 GET .*/api/userdata/(user\.css|comfy\.templates\.json|workflows%2F\.index\.json)$`,
	`^request: 404 GET .*/api/userdata\?dir=(workflows|subgraphs)&`,
	`^console: ComfyApp graph accessed before initialization`,
	// The default workflow needs models that are missing; the page requests their sizes, which --disable-api-nodes forbids.
	`^(console|request): .*https://huggingface\.co/`,
	`^console: .*violates the document's Content Security Policy`,
}

// front is the official front end in a page.
type front struct {
	*browser.Page
	server *browser.Server
}

// openFront opens the front end and waits until it is ready for work.
func openFront(t *testing.T, flags ...string) front {
	t.Helper()
	found := installed(t)
	s := browser.Start(t, append([]string{"--disable-api-nodes", "--front-end-packages", filepath.Dir(filepath.Dir(found.Root))}, flags...)...)
	f := front{browser.Blank(t, s.Base), s}
	f.Goto("/")
	f.ready()
	return f
}

func (f front) ready() {
	f.WaitFor("the front end is up", "window.app?.graph && window.app.extensionManager && document.querySelector('[data-testid=queue-button]')")
	f.settle()
}

// settle waits until the page has asked for nothing more for a while.
func (f front) settle() {
	browser.Eval[chromedp.Void](f.Page, `(async () => {
		for (let last = -1, still = 0; still < 8; await new Promise(r => setTimeout(r, 100))) {
			const n = performance.getEntriesByType('resource').length;
			still = n === last ? still + 1 : 0;
			last = n;
		}
	})()`)
}

// closeDialogs presses Escape until no dialog is open.
func (f front) closeDialogs() {
	for range 3 {
		f.Press(kb.Escape)
	}
	f.WaitFor("no dialog is open", "!document.querySelector('[role=dialog], .p-dialog')")
}

// command runs a command of the front end, as a menu or a key would.
func (f front) command(id string) {
	quoted, _ := json.Marshal(id) // a string
	browser.Eval[chromedp.Void](f.Page, "void app.extensionManager.command.execute("+string(quoted)+")")
}

// load opens a prompt as a workflow.
func (f front) load(prompt []byte, name string) {
	browser.Eval[chromedp.Void](f.Page, fmt.Sprintf("app.loadApiJson(%s, %q)", prompt, name))
	f.settle()
}

// run clicks the button Run and waits for the end of the run.
func (f front) run() {
	before := f.count("executing", `"node": null`) + f.count("execution_success", "")
	f.Click("[data-testid=queue-button]")
	f.until("the run has ended", func() bool { return f.count("executing", `"node": null`)+f.count("execution_success", "") >= before+2 })
}

// count is how many messages of a type, with a part, the server has sent.
func (f front) count(typ, part string) int {
	n := 0
	for _, m := range f.Frames() {
		if !m.Sent && strings.Contains(m.Text, `"type": "`+typ+`"`) && strings.Contains(m.Text, part) {
			n++
		}
	}
	return n
}

// until polls until done is true.
func (f front) until(what string, done func() bool) {
	for range 600 {
		if done() {
			return
		}
		browser.Eval[chromedp.Void](f.Page, "new Promise(r => setTimeout(r, 100))")
	}
	f.WaitFor(what, "false")
}

const tiny = `{"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 32, "batch_size": 1, "color": 3368601}},
	"2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "probe"}}}`

// TestFrontEndComesUp opens the official front end as a new user does: nothing goes wrong that does not go wrong with
// ComfyUI's own server.
func TestFrontEndComesUp(t *testing.T) {
	t.Parallel()
	f := openFront(t)
	f.Shot("first-visit")
	f.closeDialogs()
	f.Clean(baseline...)
	if n := browser.Eval[int](f.Page, "Object.keys(LiteGraph.registered_node_types).length"); n < 150 {
		t.Errorf("only %d node types are known", n)
	}
	f.Forget()
	f.Reload()
	f.ready()
	f.Clean(baseline...)
	f.Shot("again")
}

// TestFrontEndRuns runs the demo model from the button and checks progress, previews and the image.
func TestFrontEndRuns(t *testing.T) {
	t.Parallel()
	f := openFront(t, "--demo-model", "--preview-method", "latent2rgb")
	f.closeDialogs()
	// Many steps, so that there is time for previews on a fast machine too.
	f.load([]byte(strings.Replace(string(demo.Workflow), `"steps": 20`, `"steps": 100`, 1)), "demo")
	f.Forget()
	f.run()
	f.Clean(baseline...)
	if n := f.count("progress_state", ""); n < 5 {
		t.Errorf("%d messages of progress", n)
	}
	previews := 0
	for _, m := range f.Frames() {
		if !m.Sent && m.Text == "" && m.Size > 100 {
			previews++
		}
	}
	if previews == 0 {
		t.Error("there were no previews")
	}
	f.command("Comfy.Canvas.FitView")
	f.WaitFor("the image is there", "app.rootGraph.nodes.find(n => n.comfyClass === 'SaveImage').imgs?.[0]?.naturalWidth === 64")
	f.Shot("image")
	if len(f.Requests(`^/api/view\?filename=.*type=output`)) == 0 {
		t.Error("the page has not fetched the image")
	}
	f.command("Workspace.ToggleSidebarTab.assets")
	f.WaitFor("the media panel shows the image", "[...document.querySelectorAll('img')].some(i => i.src.includes('/api/view?') && i.naturalWidth && i.closest('.side-bar-panel, [class*=sidebar]'))")
	f.Shot("media-assets")
	f.Clean(baseline...)
}

// TestFrontEndSaysWhatIsWrong runs a workflow whose model is missing.
func TestFrontEndSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	f := openFront(t)
	f.closeDialogs()
	f.load([]byte(strings.ReplaceAll(string(demo.Workflow), "demo-shapes.safetensors", "not-there.safetensors")), "wrong")
	f.closeDialogs()
	f.Forget()
	f.Click("[data-testid=queue-button]")
	f.until("the server has refused", func() bool {
		r := f.Requests(`^/api/prompt$`)
		return len(r) > 0 && r[0].Status == 400
	})
	f.WaitFor("the page tells", "/errors? found/.test(document.body.innerText)")
	f.Shot("validation-error")
	f.Clean(append(baseline, `^request: 400 POST .*/api/prompt$`, `^console: PromptExecutionError`)...)
}

// TestFrontEndKeepsWorkflows saves, opens and deletes a workflow, and changes a setting.
func TestFrontEndKeepsWorkflows(t *testing.T) {
	t.Parallel()
	f := openFront(t)
	f.closeDialogs()
	f.load([]byte(tiny), "probe")
	f.Forget()
	f.command("Comfy.SaveWorkflow")
	const field = "[role=dialog] input, .p-dialog input"
	f.Wait(field)
	f.Fill(field, "kept one")
	f.Press(kb.Enter)
	file := filepath.Join(f.server.Dir, "user", "default", "workflows", "kept one.json")
	f.until("the workflow is saved", func() bool { _, err := os.Stat(file); return err == nil })
	f.command("Workspace.ToggleSidebarTab.workflows")
	f.WaitFor("the panel lists it", "document.querySelector('[data-testid=workflows-sidebar]')?.innerText.includes('kept one')")
	f.Shot("workflows")
	f.command("Workspace.CloseWorkflow")
	f.WaitFor("it is closed", "!app.extensionManager.workflow.activeWorkflow?.path.includes('kept one')")
	f.settle()
	f.Forget()
	f.ClickText("[data-testid=workflows-sidebar] .p-tree-node-label, [data-testid=workflows-sidebar] [class*=label], [data-testid=workflows-sidebar] span", "kept one")
	f.until("the page fetches the workflow", func() bool { return len(f.Requests(`^/api/userdata/workflows%2Fkept%20one\.json`)) > 0 })
	f.WaitFor("it is open", "app.extensionManager.workflow.activeWorkflow?.path.includes('kept one') && app.rootGraph.nodes.some(n => n.comfyClass === 'EmptyImage')")
	browser.Eval[chromedp.Void](f.Page, "void app.extensionManager.workflow.activeWorkflow.delete()")
	f.until("it is deleted", func() bool { _, err := os.Stat(file); return os.IsNotExist(err) })
	browser.Eval[chromedp.Void](f.Page, "app.extensionManager.setting.set('Comfy.ColorPalette', 'light')")
	f.until("the setting is kept", func() bool {
		var v map[string]any
		return f.server.Get(t.Context(), "/settings", &v) == nil && v["Comfy.ColorPalette"] == "light"
	})
	f.Shot("light")
	f.Clean(baseline...)
}

// TestFrontEndShowsTemplates opens the templates and one of them.
func TestFrontEndShowsTemplates(t *testing.T) {
	t.Parallel()
	f := openFront(t)
	f.closeDialogs()
	f.command("Comfy.BrowseTemplates")
	f.ClickText("[role=dialog] span, .p-dialog span", "Image") // of all templates none are shown by ComfyUI's server either
	f.WaitFor("the templates are listed", "document.querySelectorAll('[data-testid^=template-workflow]').length > 3")
	f.Shot("templates")
	if r := f.Requests(`^/templates/index\.json`); len(r) == 0 || r[0].Status != 200 {
		t.Errorf("the index: %+v", r)
	}
	f.closeDialogs()
	// Their images are there only with --media.
	f.Clean(append(baseline, `^request: 404 GET .*/templates/.*\.(webp|jpg|png|mp4|mp3)$`)...)
}

// TestFrontEndReconnects restarts the server below the page.
func TestFrontEndReconnects(t *testing.T) {
	t.Parallel()
	f := openFront(t)
	f.closeDialogs()
	f.load([]byte(tiny), "probe")
	f.run()
	f.server.Stop(t)
	f.WaitFor("the page has noticed", "app.api?.socket?.readyState !== 1")
	f.Shot("away")
	f.server.Restart(t)
	f.WaitFor("it is connected again", "app.api?.socket?.readyState === 1")
	f.settle()
	f.Forget()
	f.run()
	f.Clean(baseline...)
	f.Shot("back")
}

const media = `{"1": {"class_type": "EmptyImage", "inputs": {"width": 128, "height": 96, "batch_size": 8, "color": 3368601}},
	"2": {"class_type": "EmptyAudio", "inputs": {"duration": 1.0, "sample_rate": 48000, "channels": 2}},
	"3": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 8.0, "audio": ["2", 0], "bit_depth": 8}},
	"4": {"class_type": "SaveVideo", "inputs": {"video": ["3", 0], "filename_prefix": "video/probe", "format": "webm", "format.codec": "auto"}},
	"5": {"class_type": "PreviewAudio", "inputs": {"audio": ["2", 0]}}}`

// TestFrontEndPlaysMedia: the players of the nodes SaveVideo and PreviewAudio load what the nodes made.
func TestFrontEndPlaysMedia(t *testing.T) {
	t.Parallel()
	if err := (*ffmpeg.Tool)(nil).Available(); err != nil {
		t.Skip(err)
	}
	f := openFront(t)
	f.load([]byte(media), "media")
	f.closeDialogs()
	f.run()
	f.WaitFor("the audio player has the audio", "[...document.querySelectorAll('audio')].some(a => Math.abs(a.duration - 1) < 0.05 && !a.error)")
	f.WaitFor("the video player has the video", "[...document.querySelectorAll('video')].some(v => v.videoWidth === 128 && v.videoHeight === 96 && v.duration > 0.9 && !v.error)")
	f.Shot("media")
}

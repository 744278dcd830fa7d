package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"comfygo/tests/browser/chromium"
)

// shared is the one browser process of a test run. It is started by the first page and ended by Main.
var shared struct {
	sync.Mutex
	ctx   context.Context
	close func()
}

// process returns the context of the running browser. Without an installed browser it skips the test with the
// reason.
func process(t testing.TB) context.Context {
	t.Helper()
	path, err := chromium.Find()
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.ctx != nil {
		return shared.ctx
	}
	ctx, closeBrowser, err := launch(path)
	if err != nil {
		t.Fatal(err)
	}
	shared.ctx, shared.close = ctx, closeBrowser
	return ctx
}

// launch starts a browser with a new, empty profile. The returned function ends it and removes the profile.
func launch(path string) (context.Context, func(), error) {
	profile, err := os.MkdirTemp("", "comfygo-chromium-")
	if err != nil {
		return nil, nil, fmt.Errorf("making the browser's profile: %w", err)
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path),
		chromedp.UserDataDir(profile),
		chromedp.Headless,
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.NoFirstRun,
		chromedp.NoDefaultBrowserCheck,
		chromedp.WindowSize(Width, Height),
	}
	for _, flag := range []string{
		"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync",
		"disable-dev-shm-usage", "disable-extensions", "disable-breakpad", "mute-audio", "hide-scrollbars",
		// Pages of tests in parallel are all in the background of one another; they have to work all the same.
		"disable-background-timer-throttling", "disable-backgrounding-occluded-windows", "disable-renderer-backgrounding",
	} {
		options = append(options, chromedp.Flag(flag, true))
	}
	allocator, closeAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closeBrowser := chromedp.NewContext(allocator)
	end := func() {
		stop, cancel := context.WithTimeout(ctx, 10*time.Second)
		_ = chromedp.Cancel(stop) // it is killed below when it does not close
		cancel()
		closeBrowser()
		closeAllocator()
		_ = os.RemoveAll(profile)
	}
	if err := chromedp.Do(ctx); err != nil { // starts it
		end()
		return nil, nil, fmt.Errorf("starting %s: %w", filepath.Base(path), err)
	}
	return ctx, end, nil
}

// closeShared ends the browser, if one was started.
func closeShared() {
	shared.Lock()
	defer shared.Unlock()
	if shared.close != nil {
		shared.close()
		shared.ctx, shared.close = nil, nil
	}
}

// Find returns the path of the browser; the error names the package to install.
func Find() (string, error) { return chromium.Find() }

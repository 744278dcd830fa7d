package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// EnvChromium names the browser to use instead of the one in the PATH.
const EnvChromium = "COMFYGO_CHROMIUM"

// ErrNoChromium is wrapped by Find when no browser is installed.
var ErrNoChromium = errors.New("no Chromium is installed (Debian: apt install chromium; $" + EnvChromium + " names another one)")

// Find returns the path of the browser.
func Find() (string, error) {
	if p := os.Getenv(EnvChromium); p != "" {
		path, err := exec.LookPath(p)
		if err != nil {
			return "", fmt.Errorf("finding the browser given by %s: %w: %w", EnvChromium, ErrNoChromium, err)
		}
		return path, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("looking for a browser: %w", ErrNoChromium)
}

// shared is the one browser process of a test run. It is started by the first page and ended by Main.
var shared struct {
	sync.Mutex
	ctx   context.Context
	close func()
}

// process returns the context of the running browser. It skips the test, saying why, where none is installed.
func process(t testing.TB) context.Context {
	t.Helper()
	path, err := Find()
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

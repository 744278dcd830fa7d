package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/chromedp/chromedp"

	"comfygo/tests/golden"
)

// Shot takes an image of what can be seen and keeps it as artefacts/<test>/<name>.png. It returns its path.
func (p *Page) Shot(name string) string {
	p.t.Helper()
	shot, err := p.capture()
	if err != nil {
		p.t.Fatalf("taking the screenshot %s: %v", name, err)
	}
	path, err := p.save(name, shot)
	if err != nil {
		p.t.Fatal(err)
	}
	return path
}

func (p *Page) capture() ([]byte, error) {
	ctx, cancel := context.WithTimeout(p.ctx, 20*time.Second)
	defer cancel()
	return chromedp.Run(ctx, chromedp.CaptureScreenshot())
}

func (p *Page) save(name string, data []byte) (string, error) {
	dir, err := artefacts(p.t.Name())
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, fileName.ReplaceAllString(name, "_")+".png")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return "", fmt.Errorf("saving a screenshot: %w", err)
	}
	return path, nil
}

// fileName matches the characters that are removed from a file name.
var fileName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// artefacts makes the folder of a test's images and other results, below this package wherever the test lies.
func artefacts(test string) (string, error) {
	root, err := golden.Root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "tests", "browser", "artefacts", fileName.ReplaceAllString(test, "_"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the folder for a test's artefacts: %w", err)
	}
	return dir, nil
}

// Keep saves any result of the test beside its images and returns its path.
func (p *Page) Keep(name string, data []byte) string {
	p.t.Helper()
	dir, err := artefacts(p.t.Name())
	if err != nil {
		p.t.Fatal(err)
	}
	path := filepath.Join(dir, fileName.ReplaceAllString(name, "_"))
	if err := os.WriteFile(path, data, 0o644); err != nil {
		p.t.Fatalf("keeping %s: %v", name, err)
	}
	return path
}

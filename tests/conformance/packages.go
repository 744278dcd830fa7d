package conformance

import (
	"fmt"
	"os"
	"path/filepath"
)

// Packages writes stand-ins for the packages that the real server had beside it when it was recorded: a front end,
// templates and documentation. Their contents are not compared, only how they are served.
func Packages(dir string) error {
	for name, text := range map[string]string{
		"comfyui_frontend_package-0.dist-info/METADATA":             "",
		"comfyui_frontend_package/static/index.html":                "<!doctype html><title>front end</title>",
		"comfyui_frontend_package/static/assets/a.js":               "export {}",
		"comfyui_frontend_package/static/scripts/app.js":            "export {}",
		"comfyui_embedded_docs-0.dist-info/METADATA":                "",
		"comfyui_embedded_docs/docs/KSampler/en.md":                 "# KSampler",
		"comfyui_workflow_templates-0.dist-info/METADATA":           "",
		"comfyui_workflow_templates/__init__.py":                    "",
		"comfyui_workflow_templates_core-0.dist-info/METADATA":      "",
		"comfyui_workflow_templates_core/manifest.json":             `{"templates": [{"id": "index", "bundle": "media-other", "assets": [{"filename": "index.json"}]}]}`,
		"comfyui_workflow_templates_json-0.dist-info/METADATA":      "",
		"comfyui_workflow_templates_json/templates/index.json":      "[]",
		"comfyui_workflow_templates_media_other/templates/none.txt": "",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("writing packages: %w", err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("writing packages: %w", err)
		}
	}
	return nil
}

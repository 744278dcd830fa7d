package frontend

import "comfygo/internal/download"

// Package is one wheel of files for browsers.
type Package struct {
	Project  string // name of the distribution
	Module   string // its folder
	Version  string
	SHA256   string // of the wheel
	Size     int64  // of the wheel, bytes
	Unpacked int64  // of all its files, bytes
	Media    bool   // holds images and videos of templates only
}

// Names of the folders that are looked into.
const (
	frontEndModule = "comfyui_frontend_package"
	templateModule = "comfyui_workflow_templates"
	manifestModule = "comfyui_workflow_templates_core"
	jsonModule     = "comfyui_workflow_templates_json"
	docsModule     = "comfyui_embedded_docs"
)

// pins are the versions that upstream 0.33.0 requires; the parts of the templates are those that the templates'
// package names. The sums were taken from the published wheels.
var pins = []Package{
	{
		"comfyui-frontend-package", frontEndModule, "1.49.6",
		"69cef7e67f22854852d1d7be68ff82f27bd4ff4b33de9c643d7eb1339769c421", 22305832, 85548323, false,
	},
	{
		"comfyui-embedded-docs", docsModule, "0.5.10",
		"54f9bb2157a79dce7a68c975ee98be03214f962d41700e17ce194119e863ebb6", 16576988, 29066435, false,
	},
	{
		"comfyui-workflow-templates", templateModule, "0.11.44",
		"61870ca17f8d418b11528814ba831722d545f46a392853dd54aa0f48dcea70dd", 10852, 27362, false,
	},
	{
		"comfyui-workflow-templates-core", manifestModule, "0.3.315",
		"7899cd7b6ce2e93dce3ebc20cef28816e10d15f2ecb856f10b123129bdf71929", 69585, 328141, false,
	},
	{
		"comfyui-workflow-templates-json", jsonModule, "0.1.50",
		"246a43d92fe618c5605fb00555d28e1c149008e017568999e33bb444d761bf7e", 3116650, 23069609, false,
	},
	{
		"comfyui-workflow-templates-media-api", "comfyui_workflow_templates_media_api", "0.3.84",
		"c2d6a5999ac39e4f37f47ae231c92557defe5addb2cc6ab5c11410b4d5a2910a", 100148800, 100253951, true,
	},
	{
		"comfyui-workflow-templates-media-video", "comfyui_workflow_templates_media_video", "0.3.101",
		"6270fd61c8c3931b6f0031abac7d4c90ced624de6c7918bff85b89e6c3d7493c", 104342671, 104378957, true,
	},
	{
		"comfyui-workflow-templates-media-image", "comfyui_workflow_templates_media_image", "0.3.160",
		"d4a5c5541c7088f6adb1c7da41f5d7c1c14a037eda6a61cd8b4b76c251faaa93", 89401690, 89669061, true,
	},
	{
		"comfyui-workflow-templates-media-other", "comfyui_workflow_templates_media_other", "0.3.229",
		"ce3d98fa9d84b914c335fe5c9bc903cfefbe1932b1bc3cb6baef7f371b4bd435", 89097925, 89945933, true,
	},
	{
		"comfyui-workflow-templates-media-assets-01", "comfyui_workflow_templates_media_assets_01", "0.1.30",
		"d0ffd079203f85602a9638c23d5cb3d6a9eee508063366ab4010c4f3156bbb1c", 51594805, 51577999, true,
	},
}

// Pinned returns the packages that Install fetches, with or without the templates' media.
func Pinned(media bool) []Package {
	var out []Package
	for _, p := range pins {
		if media || !p.Media {
			out = append(out, p)
		}
	}
	return out
}

func (p Package) item() download.Item {
	return download.Item{Kind: download.Wheel, Project: p.Project, Version: p.Version, SHA256: p.SHA256}
}

package features

import (
	"math"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
)

// boolFlags are the feature flags that are true or false.
var boolFlags = map[string]bool{"show_signin_button": true, "enable_telemetry": true}

// Features returns the server's features as reported to clients, with the flags from the command line.
func (s *Service) Features() *pyjson.Object {
	var upload any = int64(s.MaxUploadSize * 1048576)
	switch f := s.MaxUploadSize * 1048576; {
	case math.IsInf(f, 0), math.IsNaN(f):
		upload = 0
	case f != math.Trunc(f):
		upload = f
	}
	core := pyjson.NewObject("supports_preview_metadata", true, "supports_model_type_tags", true, "max_upload_size", upload,
		"extension", pyjson.NewObject("manager", pyjson.NewObject("supports_v4", true)),
		"node_replacements", true, "assets", s.Assets)
	flags := pyjson.NewObject()
	for _, flag := range s.FeatureFlags {
		key, text, given := strings.Cut(flag, "=")
		key, text = strings.TrimSpace(key), strings.TrimSpace(text)
		if !given {
			text = "true"
		}
		switch {
		case key == "" || core.Has(key):
		case !boolFlags[key]:
			flags.Set(key, text)
		case strings.EqualFold(text, "true"):
			flags.Set(key, true)
		case strings.EqualFold(text, "false"):
			flags.Set(key, false)
		default:
			s.Log.Warn("dropping a feature flag: it is true or false", "flag", key, "value", text)
		}
	}
	return core.Merge(flags)
}

// GetFeatures returns the features, and the partner API's staging hosts if the command line names one.
func (s *Service) GetFeatures(c echo.Context) error {
	return s.Reply.JSON(c, http.StatusOK, s.Features().Merge(environment(s.ComfyAPIBase)))
}

// testHosts is the suffix of the names of the partner API's test environments.
const testHosts = ".testenvs.comfy.org"

// environment describes a partner API other than the public one to clients.
func environment(base string) *pyjson.Object {
	u, err := url.Parse(base)
	if err != nil {
		return nil
	}
	label, test := strings.CutSuffix(u.Hostname(), testHosts)
	if !test && u.Hostname() != "stagingapi.comfy.org" {
		return nil
	}
	if test && !strings.HasSuffix(label, "-registry") { // the API's own host beside the environment's main one
		scheme := u.Scheme
		if scheme == "" {
			scheme = "https"
		}
		base = scheme + "://" + label + "-registry" + testHosts
	}
	return pyjson.NewObject("comfy_api_base_url", strings.TrimRight(base, "/"),
		"comfy_platform_base_url", "https://stagingplatform.comfy.org", "firebase_env", "dev")
}

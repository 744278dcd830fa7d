package health

import (
	"net/http"
	"runtime"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/server/reply"
)

// comfyPackages are the packages that upstream 0.33.0 requires; clients compare versions with them.
var comfyPackages = []struct{ name, required string }{
	{"comfyui-frontend-package", "1.49.6"},
	{"comfyui-workflow-templates", "0.11.44"},
	{"comfyui-embedded-docs", "0.5.10"},
	{"comfy-kitchen", "0.2.31"},
	{"comfy-aimdo", "0.4.13"},
}

func (s *Service) stats() Stats {
	if s.Stats == nil {
		return Stats{Devices: []Device{{Name: "cpu", Type: "cpu", Index: -1}}}
	}
	return s.Stats()
}

// Figures returns the figures of the machine, at most as old as a probe may be: frequent requests cost nothing more, and a GPU that hangs
// delays no request. The first requests wait for the figures of the first probe.
func (s *Service) Figures() Stats {
	if seen := s.State.look(s.measure, time.Now()); len(seen.stats.Devices) > 0 {
		return seen.stats
	}
	if st := s.State.first(); st != nil && len(st.Devices) > 0 {
		return *st
	}
	return Stats{Devices: []Device{{Name: "cpu", Type: "cpu", Index: -1}}} // the machine does not answer
}

// GetSystemStats describes the machine and the program.
func (s *Service) GetSystemStats(c echo.Context) error {
	st := s.Figures()
	packages := []any{}
	for _, p := range comfyPackages {
		packages = append(packages, pyjson.NewObject("name", p.name, "installed", s.packageVersion(p.name), "required", p.required))
	}
	deploy := s.DeployEnvironment
	if deploy == "" {
		deploy = "local-git"
	}
	system := pyjson.NewObject("os", platform(), "ram_total", st.RAMTotal, "ram_free", st.RAMFree,
		"comfyui_version", UpstreamVersion, "required_frontend_version", comfyPackages[0].required,
		"installed_templates_version", s.packageVersion(comfyPackages[1].name), "required_templates_version", comfyPackages[1].required,
		"comfy_package_versions", packages, "python_version", "comfygo "+s.AppVersion+" ("+runtime.Version()+")",
		"pytorch_version", s.RuntimeVersion, "embedded_python", false, "deploy_environment", deploy, "argv", reply.Strs(s.argvFor(c)))
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("system", system, "devices", devices(st)))
}

// argvFor is the command line. It names folders of the machine, so users other than administrators see the program's name alone.
func (s *Service) argvFor(c echo.Context) []string {
	if s.Access.Sees(c) {
		return s.Argv
	}
	return s.Argv[:min(1, len(s.Argv))]
}

// packageVersion returns the version of an installed package, or nil.
func (s *Service) packageVersion(name string) any {
	if v := s.PackageVersions[name]; v != "" {
		return v
	}
	return nil
}

func devices(st Stats) []any {
	out := []any{}
	for _, d := range st.Devices {
		var index any
		if d.Index >= 0 {
			index = int64(d.Index)
		}
		out = append(out, pyjson.NewObject("name", d.Name, "type", d.Type, "index", index, "vram_total", d.VRAMTotal,
			"vram_free", d.VRAMFree, "torch_vram_total", d.TorchTotal, "torch_vram_free", d.TorchFree))
	}
	return out
}

// platform is Python's sys.platform.
func platform() string {
	if runtime.GOOS == "windows" {
		return "win32"
	}
	return runtime.GOOS
}

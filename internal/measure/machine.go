package measure

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// CPU names the machine's CPU as Linux does: model, family, the widest vector instructions and the number of
// cores. Elsewhere it is the architecture.
func CPU() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	return describe(string(b))
}

func describe(cpuinfo string) string {
	fields, count := map[string]string{}, 0
	for line := range strings.Lines(cpuinfo) {
		key, value, ok := strings.Cut(line, ":")
		if key = strings.TrimSpace(key); !ok {
			continue
		}
		if key == "processor" {
			count++
		}
		if _, seen := fields[key]; !seen {
			fields[key] = strings.TrimSpace(value)
		}
	}
	name := fields["model name"]
	if name == "" {
		name = runtime.GOARCH
	}
	if f := fields["cpu family"]; f != "" {
		name += fmt.Sprintf(", family %s model %s", f, fields["model"])
	}
	flags := " " + fields["flags"] + " "
	for _, v := range []struct{ flag, name string }{{"amx_tile", "AMX"}, {"avx512f", "AVX-512"}, {"avx2", "AVX2"}} {
		if strings.Contains(flags, " "+v.flag+" ") {
			name += ", " + v.name
			break
		}
	}
	return fmt.Sprintf("%s, %d cores", name, count)
}

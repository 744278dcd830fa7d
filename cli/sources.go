package cli

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// Flags may also be given by environment variables and by a config file. The command line takes precedence over the
// environment, that over the file, and the file over the defaults.

// envPrefix begins the environment variables of flags: COMFYGO_PORT is --port.
const envPrefix = "COMFYGO_"

// envConfig names the config file, as --config does.
const envConfig = envPrefix + "CONFIG"

// otherVariables begin with the prefix and are not flags; those that end in _ are prefixes themselves.
var otherVariables = []string{
	"COMFYGO_API_KEY", "COMFYGO_SERVER", "COMFYGO_OIDC_SECRET", "COMFYGO_FRONTEND", "COMFYGO_DUMP_GRAPHS", "COMFYGO_CUDA_DIRS",
	"COMFYGO_CHROMIUM", "COMFYGO_PROGRAM", "COMFYGO_RECORD", "COMFYGO_SDK_ROOT", "COMFYGO_OBJECT_INFO", "COMFYGO_SENTENCEPIECE",
	"COMFYGO_HF_TOKENIZERS", "COMFYGO_GLSL_WORKER", "COMFYGO_TEST_",
}

// onlyWords are the flags that can be given on the command line only.
var onlyWords = []string{"--help", "--help-all", "--version", "--list-feature-flags", "--config", "--api-key"}

// maxConfigFile bounds a config file, in bytes.
const maxConfigFile = 1 << 20

// envName is the environment variable of a flag.
func (s *spec) envName() string { return envPrefix + strings.ToUpper(s.dest()) }

// sourced is a flag as the environment or the config file gives it.
type sourced struct {
	setting
	off    bool   // a switch that is false: later sources do not set it either
	origin string // how errors call it
}

// fromEnvironment reads the flags that the environment gives, in the order of the tables, and returns the names of variables with
// the prefix that match no flag.
func fromEnvironment(environ []string) (given []sourced, unknown []string, err error) {
	values := map[string]string{}
	for _, line := range environ {
		if name, value, _ := strings.Cut(line, "="); strings.HasPrefix(name, envPrefix) && value != "" {
			values[name] = value
		}
	}
	for _, s := range slices.Concat(upstream, own) {
		if slices.Contains(onlyWords, s.name) {
			continue
		}
		name := s.envName()
		text, ok := values[name]
		if !ok {
			continue
		}
		delete(values, name)
		words := []string{text}
		if s.list() {
			words = strings.Split(text, ",")
		}
		g, err := s.source("environment variable "+name, words)
		if err != nil {
			return nil, nil, err
		}
		given = append(given, g)
	}
	for name := range values {
		if name != envConfig && !slices.ContainsFunc(otherVariables, func(o string) bool {
			return name == o || strings.HasSuffix(o, "_") && strings.HasPrefix(name, o)
		}) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return given, unknown, nil
}

// fromFile reads the flags that a config file gives: YAML, one flag a line, without its dashes.
func fromFile(path string) ([]sourced, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, usagef("reading the config file: %v", err)
	}
	if info.Size() > maxConfigFile {
		return nil, usagef("reading the config file %s: it has %d bytes, the most is %d", path, info.Size(), maxConfigFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, usagef("reading the config file: %v", err)
	}
	var entries yaml.MapSlice
	if err := yaml.Unmarshal(text, &entries); err != nil {
		return nil, usagef("reading the config file %s: it is not a YAML mapping of flags to values: %s", path, firstLine(err.Error()))
	}
	var given []sourced
	for _, e := range entries {
		key := fmt.Sprint(e.Key)
		origin := fmt.Sprintf("config file %s, %s", path, key)
		s := flagOf(key)
		if s == nil {
			return nil, &UsageError{Message: origin + ": there is no such flag", Hint: meant("--"+dashes(key), flagWords())}
		}
		if slices.Contains(onlyWords, s.name) && s.name != "--api-key" {
			return nil, usagef("%s: it can be given on the command line only", origin)
		}
		words, err := valuesOf(e.Value)
		if err != nil {
			return nil, usagef("%s: %v", origin, err)
		}
		if len(words) == 0 {
			continue
		}
		g, err := s.source(origin, words)
		if err != nil {
			return nil, err
		}
		given = append(given, g)
	}
	return given, nil
}

// firstLine is the first line of a text, without the excerpt that a YAML error draws below it.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// dashes is a key of a config file as a flag writes it.
func dashes(key string) string { return strings.ReplaceAll(key, "_", "-") }

// flagOf returns the flag that a key of the config file names, or nil if no flag has that name.
func flagOf(key string) *spec {
	for _, s := range slices.Concat(upstream, own) {
		if dashes(strings.TrimPrefix(s.name, "--")) == dashes(key) {
			return s
		}
	}
	return nil
}

// valuesOf returns a YAML value as the words of a command line; none for null.
func valuesOf(v any) ([]string, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []any:
		var words []string
		for _, e := range v {
			w, err := valuesOf(e)
			if err != nil || len(w) != 1 {
				return nil, fmt.Errorf("a list may hold texts, numbers and booleans only")
			}
			words = append(words, w...)
		}
		return words, nil
	case float64:
		return []string{strconv.FormatFloat(v, 'g', -1, 64)}, nil
	case string, bool, int64, uint64, int:
		return []string{fmt.Sprint(v)}, nil
	}
	return nil, fmt.Errorf("a flag takes a text, a number, a boolean or a list of these")
}

// source checks the values of a flag that come from elsewhere than the command line.
func (s *spec) source(origin string, words []string) (sourced, error) {
	g := sourced{setting: setting{spec: s}, origin: origin}
	if s.kind == kindSwitch || len(words) == 1 && s.nargs == optional && isBool(words[0]) {
		on, err := parseBool(words[0])
		if err != nil || len(words) > 1 {
			return g, usagef("%s: a switch is true or false, not %s", origin, quote(strings.Join(words, ",")))
		}
		if g.off = !on; s.kind == kindSwitch || g.off {
			return g, nil
		}
		words = []string{s.bare}
	}
	if s.kind == kindVerbose {
		for _, w := range words {
			values, _, err := checkVerbose(strings.SplitN(w, " ", 2))
			if err != nil {
				return g, usagef("%s: %v", origin, err)
			}
			g.values = append(g.values, values...)
		}
		return g, nil
	}
	if len(words) > 1 && !s.list() {
		return g, usagef("%s: it takes one value, not %d", origin, len(words))
	}
	values, _, err := s.check(words)
	if err != nil {
		text := strings.TrimPrefix(err.Error(), "argument "+s.label()+": ")
		return g, usagef("%s: %s", origin, text)
	}
	g.values = values
	return g, nil
}

func isBool(word string) bool {
	_, err := parseBool(word)
	return err == nil
}

// parseBool reads a switch.
func parseBool(word string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "1", "true", "yes", "on":
		return true, nil
	case "0", "false", "no", "off":
		return false, nil
	}
	return false, fmt.Errorf("%q is not a boolean", word)
}

// fill adds what a source of lower precedence gives, unless the flag, or one that excludes it, is decided already.
func (r *reading) fill(layer []sourced) error {
	decided := slices.Clone(r.off)
	groups := map[string]bool{}
	for _, g := range r.settings {
		decided = append(decided, g.spec)
		groups[g.spec.group] = true
	}
	by := map[string]sourced{} // group of flags that exclude each other, to the one of this layer
	for _, g := range layer {
		if slices.Contains(decided, g.spec) || g.spec.group != "" && groups[g.spec.group] {
			continue
		}
		if g.off {
			r.off = append(r.off, g.spec)
			continue
		}
		if other, taken := by[g.spec.group]; taken && g.spec.group != "" {
			return usagef("%s: not allowed with %s", g.origin, other.origin)
		}
		by[g.spec.group] = g
		r.settings = append(r.settings, g.setting)
	}
	return nil
}

// sources are the places besides the command line that gave flags.
type sources struct {
	file    string
	env     []string // names of the variables
	unknown []string
}

// complete adds the flags of the environment and the config file to a command line.
func (r *reading) complete(environ []string) (sources, error) {
	var from sources
	given, unknown, err := fromEnvironment(environ)
	if err != nil {
		return from, err
	}
	from.unknown = unknown
	for _, g := range given {
		from.env = append(from.env, g.spec.envName())
	}
	for _, line := range environ {
		if name, value, _ := strings.Cut(line, "="); name == envConfig {
			from.file = value
		}
	}
	for _, g := range r.settings {
		if g.spec.name == "--config" {
			from.file = g.values[0]
		}
	}
	if err := r.fill(given); err != nil || from.file == "" {
		return from, err
	}
	layer, err := fromFile(from.file)
	if err != nil {
		return from, err
	}
	return from, r.fill(layer)
}

// Variables returns the names of the environment variables of flags.
func Variables() []string {
	names := []string{envConfig}
	for _, s := range slices.Concat(upstream, own) {
		if !slices.Contains(onlyWords, s.name) {
			names = append(names, s.envName())
		}
	}
	return names
}

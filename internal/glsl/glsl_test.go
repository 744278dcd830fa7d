package glsl

import "testing"

// TestLogText: the messages of drivers name lines.
func TestLogText(t *testing.T) {
	t.Parallel()
	for log, want := range map[string]string{
		"0:12(5): error: `x' undeclared\n":                     "line 12: `x' undeclared",
		"ERROR: 0:3: 'x' : undeclared identifier\nERROR: 0:4:": "line 3: 'x' : undeclared identifier\nline 4:",
		"0(7) : error C1008: undefined variable \"x\"":         "line 7: C1008: undefined variable \"x\"",
		"":            "the driver does not say why",
		"out of luck": "out of luck",
	} {
		if got := logText(log); got != want {
			t.Errorf("%q gives %q, want %q", log, got, want)
		}
	}
}

// TestPrecise: the precision of samplers stands behind the directives that have to be first.
func TestPrecise(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"#version 300 es\nvoid main() {}":                             "#version 300 es\nprecision highp sampler2D;\n#line 2\nvoid main() {}",
		"#version 300 es\r\nx":                                        "#version 300 es\r\nprecision highp sampler2D;\n#line 2\nx",
		"// a\n#version 300 es\n #extension GL_a : enable\nprecision": "// a\n#version 300 es\n #extension GL_a : enable\nprecision highp sampler2D;\n#line 4\nprecision",
		"#version 300 es":                                             "#version 300 es",
		"no directive":                                                "no directive",
	} {
		if got := precise(source); got != want {
			t.Errorf("%q gives %q, want %q", source, got, want)
		}
	}
}

// TestJob: what a source says about passes and outputs.
func TestJob(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source          string
		passes, outputs int
	}{
		{"", 1, 1},
		{"fragColor0 fragColor2", 1, 3},
		{"fragColor99999999999999999999", 1, 4},
		{"#pragma passes 3", 3, 1},
		{"#pragma  passes\t0", 1, 1},
		{"#pragma passes 99999999999999999999", 1<<31 - 1, 1},
	} {
		j := Job{Source: c.source}
		if j.Passes() != c.passes || j.Outputs() != c.outputs {
			t.Errorf("%q: %d passes, %d outputs, want %d and %d", c.source, j.Passes(), j.Outputs(), c.passes, c.outputs)
		}
	}
}

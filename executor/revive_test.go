package executor_test

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"

	"comfygo/executor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// life is another process: its values are lost when it ends.
type life struct{ ended atomic.Bool }

// lent is a value that another process holds.
type lent struct{ of *life }

func (l *lent) Live() bool { return !l.of.ended.Load() }

func (l *lent) Native(context.Context) (any, error) {
	if !l.Live() {
		return nil, errors.New("the value is gone")
	}
	return "lent", nil
}

// lending holds what the nodes of one job share.
type lending struct {
	now    *life
	runs   int
	mortal bool // the process ends as soon as a node has returned
}

var lendings sync.Map // by the job's id

func lendingOf(ctx *nodes.Context) *lending {
	v, _ := lendings.Load(ctx.PromptID)
	return v.(*lending)
}

// lender gives values of another process; ender ends that process.
type lender struct{}

func (*lender) Spec() nodes.Spec { return named("Lender", "STRING") }

func (*lender) Run(ctx *nodes.Context) (nodes.Result, error) {
	l := lendingOf(ctx)
	l.runs++
	l.now = &life{}
	l.now.ended.Store(l.mortal)
	return nodes.Out(&lent{l.now}), nil
}

type ender struct {
	Source any `in:"source" opts:"{}"`
}

func (*ender) Spec() nodes.Spec { return named("Ender", "STRING") }

func (*ender) Run(ctx *nodes.Context) (nodes.Result, error) {
	lendingOf(ctx).now.ended.Store(true)
	return nodes.Out("ended"), nil
}

type taker struct {
	A any `in:"a" opts:"{}"`
	B any `in:"b" opts:"{}"`
}

func (*taker) Spec() nodes.Spec { return output(named("Taker", "STRING")) }

func (n *taker) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out("").AddUI("text", []any{n.A, n.B}), nil
}

type nowhere struct{}

func (nowhere) Instead(string, *pyjson.Object) (*nodes.Class, bool) { return nil, false }

// TestRevive ends a process between two nodes of a job: the lost outputs are computed again, a bounded number of times.
func TestRevive(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mortal, elsewhere, success bool
		runs                       int
	}{
		"once":       {false, true, true, 2},
		"every time": {true, true, false, 4},
		"no process": {false, false, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, id := &lending{mortal: c.mortal}, "revive "+name
			lendings.Store(id, l)
			defer lendings.Delete(id)
			services := nodes.Services{}
			if c.elsewhere {
				services.Elsewhere = nowhere{}
			}
			ex := executor.New(executor.Config{Registry: registry(t, &lender{}, &ender{}, &taker{}), Services: services})
			result, _, _ := runPrompt(t.Context(), t, ex, id, `{"1": {"class_type": "Lender", "inputs": {}}, "2": {"class_type": "Ender", "inputs": {"source": ["1", 0]}},
				"3": {"class_type": "Taker", "inputs": {"a": ["1", 0], "b": ["2", 0]}}}`)
			if result.Success != c.success || l.runs != c.runs {
				t.Errorf("success is %v, and the node ran %d times; want %v, %d", result.Success, l.runs, c.success, c.runs)
			}
			if v, _ := result.Outputs.Object("3").Get("text"); c.success && !reflect.DeepEqual(v, []any{"lent", "ended"}) {
				t.Errorf("the node that takes the value was given %v", v)
			}
		})
	}
}

package executor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// Validate checks a prompt and converts its values in place to their widgets' types. targets is the raw value of partial_execution_targets: the
// output nodes to run, nil for all. The error is for malformed prompts (a node that is not an object, …), which upstream
// answers with an internal error; everything else is in the Verdict. It may be called while a job runs.
func (e *Executor) Validate(ctx context.Context, id string, prompt Prompt, targets any) (Verdict, error) {
	if prompt == nil {
		return Verdict{}, badPrompt("it is no object")
	}
	if n := prompt.Len(); n > e.limits.Nodes {
		details := fmt.Sprintf("%d nodes are over the limit of %d: send the workflow in parts", n, e.limits.Nodes)
		return Verdict{Error: problemObject("too_many_nodes", "Prompt has too many nodes", details, pyjson.NewObject()), NodeErrors: pyjson.NewObject()}, nil
	}
	if err := checkShape(prompt); err != nil {
		return Verdict{}, err
	}
	if e.lacksClass(prompt) {
		e.registry.Wait(ctx) // classes of another process may still be on their way
	}
	outputs, problem, err := e.findOutputs(ctx, prompt, targets)
	if err != nil {
		return Verdict{}, err
	}
	if problem != nil {
		return Verdict{Error: problem, NodeErrors: pyjson.NewObject()}, nil
	}
	if len(outputs) == 0 {
		return Verdict{Error: problemObject("prompt_no_outputs", "Prompt has no outputs", "", pyjson.NewObject()), NodeErrors: pyjson.NewObject()}, nil
	}
	services := e.servicesIn(ctx, FoldersOf(ctx))
	v := &validation{ctx: ctx, e: e, id: id, prompt: prompt, env: envOf(services), services: services, done: map[string]*checked{}, onPath: map[string]int{}, errors: pyjson.NewObject(), most: bounds{mostBlames, mostMarks}}
	verdict := v.outputs(outputs)
	if ctx.Err() != nil { // the request has ended; the verdict is not complete
		return Verdict{}, context.Cause(ctx)
	}
	return verdict, nil
}

// checkShape refuses what upstream fails on before it validates.
func checkShape(prompt Prompt) error {
	for id, data := range prompt.All() {
		n, ok := data.(*pyjson.Object)
		if !ok {
			return badPrompt("node %s is no object", id)
		}
		inputs, there := n.Get("inputs")
		if _, ok := inputs.(*pyjson.Object); there && n.Has("class_type") && !ok {
			return badPrompt("the inputs of node %s are no object", id)
		}
	}
	return nil
}

// lacksClass reports whether a node's class is not in the registry.
func (e *Executor) lacksClass(prompt Prompt) bool {
	for _, data := range prompt.All() {
		if _, ok := e.registry.Get(data.(*pyjson.Object).String("class_type")); !ok {
			return true
		}
	}
	return false
}

func problemObject(typ, message, details string, extra *pyjson.Object) *pyjson.Object {
	return pyjson.NewObject("type", typ, "message", message, "details", details, "extra_info", extra)
}

// findOutputs lists the selected output nodes; problem is set when a class is missing.
func (e *Executor) findOutputs(ctx context.Context, prompt Prompt, targets any) (outputs []string, problem *pyjson.Object, err error) {
	wanted, err := targeted(targets)
	if err != nil {
		wanted = nil // told when there is an output node
	}
	for id, data := range prompt.All() {
		n := data.(*pyjson.Object)
		class, there := n.Get("class_type")
		name, isText := class.(string)
		known, ok := e.registry.Get(name)
		if !there || !isText || !ok {
			problem, err := missingClass(ctx, id, n, class, there, e.registry.Pending())
			return nil, problem, err
		}
		if !known.OutputNode {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if wanted(id) {
			outputs = append(outputs, id)
		}
	}
	return outputs, nil, nil
}

// mostTargetText bounds partial_execution_targets that is a text, in which each node's id is searched as in Python.
const mostTargetText = 4 << 10

// targeted reports whether an output node is selected, by its id.
func targeted(targets any) (func(id string) bool, error) {
	switch t := targets.(type) {
	case nil:
		return func(string) bool { return true }, nil
	case []any:
		ids := make(map[string]bool, len(t))
		for _, v := range t {
			if id, ok := v.(string); ok {
				ids[id] = true
			}
		}
		return func(id string) bool { return ids[id] }, nil
	case string:
		if len(t) > mostTargetText {
			return nil, badPrompt("partial_execution_targets is a text of %d bytes, more than %d: send a list", len(t), mostTargetText)
		}
		return func(id string) bool { return strings.Contains(t, id) }, nil
	case *pyjson.Object:
		return t.Has, nil
	}
	return nil, badPrompt("partial_execution_targets is no list")
}

// validation is one run of Validate.
type validation struct {
	ctx    context.Context
	e      *Executor
	id     string
	prompt Prompt
	env    nodes.Env
	// services are the services that the validators of classes use.
	services nodes.Services
	done     map[string]*checked
	bad      []string // of done, those with reasons of their own
	told     int      // how many of bad are in errors
	blames   int      // entries of dependent_outputs so far
	marks    int      // nodes marked as members of cycles so far
	most     bounds
	work     int            // nodes looked at for cycles and dependent outputs so far; bounded, which tests look at
	path     []string       // the nodes being checked, each needed by the one before
	onPath   map[string]int // their places in path
	errors   *pyjson.Object
}

// bounds limit the work on prompts whose errors concern each other: see mostBlames and mostMarks.
type bounds struct{ blames, marks int }

// checked is the verdict on one node.
type checked struct {
	ok      bool
	reasons []any
}

// faulty reports whether the node itself has errors, as opposed to its inputs. nil is a node that was not checked.
func (c *checked) faulty() bool { return c != nil && !c.ok && len(c.reasons) > 0 }

func (v *validation) record(id string, c *checked) {
	if c.faulty() && !v.done[id].faulty() { // never the other way: reasons are only added to
		v.bad = append(v.bad, id)
	}
	v.done[id] = c
}

// outputs checks each output node with all that it needs; those that are fine run even if others are not.
func (v *validation) outputs(ids []string) Verdict {
	var good []string
	var lines []string
	for _, id := range ids {
		if v.ctx.Err() != nil {
			break
		}
		c, err := v.node(id)
		if err != nil {
			c = &checked{reasons: []any{problemObject("exception_during_validation", "Exception when validating node", forClients(v.env.Folders, err.Error()),
				pyjson.NewObject("exception_type", nodes.ExceptionType(err), "traceback", trace(v.env.Folders, err)))}}
			v.record(id, c)
		}
		if c.ok {
			good = append(good, id)
			continue
		}
		for _, r := range c.reasons {
			o := r.(*pyjson.Object)
			lines = append(lines, o.String("message")+": "+o.String("details"))
		}
		v.blame(id)
	}
	if len(good) == 0 {
		return Verdict{
			Error:      problemObject("prompt_outputs_failed_validation", "Prompt outputs failed validation", strings.Join(lines, "\n"), pyjson.NewObject()),
			NodeErrors: v.errors,
		}
	}
	return Verdict{OK: true, Outputs: good, NodeErrors: v.errors}
}

// mostBlames bounds the dependent outputs that are listed: a prompt of n broken outputs would have n² of them.
const mostBlames = 500_000

// blame notes an output as depending on every node with errors found so far; beyond mostBlames only on those found since the last.
func (v *validation) blame(output string) {
	from := 0
	if v.blames >= v.most.blames {
		from = v.told
	}
	v.work += len(v.bad) - from
	for i, id := range v.bad[from:] {
		o := v.errors.Object(id)
		if o == nil {
			class, _ := v.prompt.Object(id).Get("class_type")
			o = pyjson.NewObject("errors", v.done[id].reasons, "dependent_outputs", []any{}, "class_type", class)
			v.errors.Set(id, o)
		} else if v.blames >= v.most.blames && from+i < v.told {
			continue
		}
		v.blames++
		list, _ := o.Get("dependent_outputs")
		o.Set("dependent_outputs", append(list.([]any), output))
	}
	v.told = len(v.bad)
}

// deepest is the maximum length of a chain of nodes that need each other. Upstream ends a few below Python's 1000 calls, with the same message.
const deepest = 4000

// node checks one node and its inputs. The error is an exception of upstream's kind.
func (v *validation) node(id string) (*checked, error) {
	if c, ok := v.done[id]; ok {
		return c, nil
	}
	if at, on := v.onPath[id]; on {
		v.cycle(at)
		if c := v.done[id]; c != nil {
			return c, nil
		}
		return &checked{}, nil
	}
	if err := v.ctx.Err(); err != nil {
		return nil, context.Cause(v.ctx)
	}
	if len(v.path) >= deepest {
		return nil, nodes.Errorf("RecursionError", "maximum recursion depth exceeded")
	}
	data := v.prompt.Object(id)
	inputs := data.Object("inputs")
	if inputs == nil {
		return nil, keyError("inputs")
	}
	class, _ := v.e.registry.Get(data.String("class_type"))
	n := &nodeCheck{v: v, id: id, class: class, inputs: inputs, types: map[string]string{}, ok: true}
	v.onPath[id] = len(v.path)
	v.path = append(v.path, id)
	defer func() {
		v.path = v.path[:len(v.path)-1]
		delete(v.onPath, id)
	}()
	for _, in := range class.Resolve(inputs) {
		if err := n.input(in); err != nil {
			return nil, err
		}
	}
	if err := n.custom(); err != nil {
		return nil, err
	}
	c := &checked{ok: n.ok && len(n.reasons) == 0}
	if old := v.done[id]; old != nil { // a cycle through this node has been found meanwhile
		c.ok = c.ok && old.ok
		c.reasons = append(c.reasons, old.reasons...)
	}
	c.reasons = append(c.reasons, n.reasons...)
	v.record(id, c)
	return c, nil
}

// Cycles longer than longCycle, which upstream does not follow to their end, are reported by their first shownOfCycle nodes. After
// mostMarks marked nodes, only the node that closes a cycle is marked: cycles may share nearly all of their nodes.
const (
	longCycle    = 1000
	shownOfCycle = 50
	mostMarks    = 500_000
)

// cycle marks every node of the cycle that the node at the end of the path closes by needing the one at from.
func (v *validation) cycle(from int) {
	members := v.path[from:]
	if v.marks >= v.most.marks { // one is enough then
		members = members[len(members)-1:]
		if v.done[members[0]].faulty() {
			return
		}
	}
	v.marks += len(members)
	v.work += len(members)
	shown := append(slices.Clone(members), members[0])
	if len(shown) > longCycle {
		shown = shown[:shownOfCycle]
	}
	steps := make([]string, len(shown))
	for i, id := range shown {
		steps[i] = fmt.Sprintf("%s (%s)", id, v.prompt.Object(id).String("class_type"))
	}
	named := make([]any, 0, len(shown))
	for _, id := range members[:min(len(members), len(shown))] {
		named = append(named, id)
	}
	details := strings.Join(steps, " -> ")
	for _, m := range members {
		v.record(m, &checked{reasons: []any{problemObject("dependency_cycle", "Dependency cycle detected", details,
			pyjson.NewObject("node_id", m, "cycle_nodes", named))}})
	}
}

package assets

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"comfygo/assets"
	"comfygo/internal/pyjson"
	"comfygo/server/reply"
)

// maxFilterTags is the number of tags that one parameter of a filter may name.
const maxFilterTags = 100

// assetFilter reads the parameters that choose references. The names all, any and none are the new ones of include and
// exclude.
func (f *checked) assetFilter() (filter assets.Filter, lists []tagList) {
	for _, name := range []string{"include_tags", "exclude_tags", "tags_all", "tags_any", "tags_none"} {
		lists = append(lists, tagList{name, assets.CleanTags(f.tags(name))})
	}
	if v := f.text("name_contains"); v != nil {
		filter.NameContains = *v
	}
	filter.Metadata = f.object("metadata_filter")
	return filter, lists
}

// tagList is a parameter with tags.
type tagList struct {
	name string
	tags []string
}

// filterError is a combination of tags that cannot be.
type filterError struct {
	message string
	details *pyjson.Object
}

// resolveTags enters the tags of both kinds of names into a filter.
func resolveTags(filter *assets.Filter, lists []tagList) *filterError {
	for _, l := range lists {
		if len(l.tags) > maxFilterTags {
			return &filterError{
				fmt.Sprintf("'%s' lists %d tags; the maximum is %d.", l.name, len(l.tags), maxFilterTags),
				pyjson.NewObject("parameter", l.name, "count", len(l.tags), "max", maxFilterTags),
			}
		}
	}
	include, exclude, all, anyOf, none := lists[0], lists[1], lists[2], lists[3], lists[4]
	filter.All, filter.Any, filter.None = include.tags, anyOf.tags, exclude.tags
	if len(all.tags)+len(anyOf.tags)+len(none.tags) == 0 {
		return nil
	}
	for _, pair := range [][2]tagList{{include, all}, {exclude, none}} {
		if len(pair[0].tags) > 0 && len(pair[1].tags) > 0 {
			return &filterError{
				fmt.Sprintf("Cannot combine '%s' with '%s'; use '%s'.", pair[0].name, pair[1].name, pair[1].name),
				pyjson.NewObject("parameters", []any{pair[0].name, pair[1].name}),
			}
		}
	}
	if len(all.tags) == 0 && len(include.tags) > 0 {
		all = include
	}
	if len(none.tags) == 0 && len(exclude.tags) > 0 {
		none = exclude
	}
	if len(all.tags) == 0 {
		all.name = include.name
	}
	filter.All, filter.None = all.tags, none.tags
	var both, quoted []string
	for _, t := range all.tags {
		if slices.Contains(none.tags, t) {
			both = append(both, t)
		}
	}
	if len(both) == 0 {
		return nil
	}
	slices.Sort(both)
	for _, t := range both {
		quoted = append(quoted, pyjson.Repr(t))
	}
	return &filterError{
		fmt.Sprintf("Query can never match: %s required by '%s' but rejected by '%s'.", strings.Join(quoted, ", "), all.name, none.name),
		pyjson.NewObject("conflicting_tags", both, "parameters", []any{all.name, none.name}),
	}
}

// GetAssets lists references.
func (s *Service) GetAssets(c echo.Context) error {
	owner, err := s.Assets.Owner(c)
	if err != nil {
		return err
	}
	f := checkQuery(c, false)
	var p assets.Page
	var lists []tagList
	p.Filter, lists = f.assetFilter()
	p.Owner = owner
	p.Limit = f.integer("limit", 20, 1, 500)
	p.Offset = f.integer("offset", 0, 0, noLimit)
	p.After = f.text("after")
	p.Sort = f.choice("sort", "created_at", "name", "created_at", "updated_at", "size", "last_access_time")
	p.Asc = f.choice("order", "desc", "asc", "desc") == "asc"
	if f.errs != nil {
		return s.invalid(c, f, "INVALID_QUERY", "Validation failed.")
	}
	if e := resolveTags(&p.Filter, lists); e != nil {
		return s.assetError(c, http.StatusBadRequest, "INVALID_TAG_FILTER", e.message, e.details)
	}
	page, err := s.Library.List(c.Request().Context(), p)
	if err != nil {
		return s.assetProblem(c, err, nil)
	}
	list, err := s.assetObjects(c, page.Items)
	if err != nil {
		return err
	}
	more := page.Next != ""
	if p.After == nil {
		more = p.Offset < page.Total && p.Offset+int64(len(page.Items)) < page.Total
	}
	out := pyjson.NewObject("assets", list, "total", page.Total, "has_more", more)
	if page.Next != "" {
		out.Set("next_cursor", page.Next)
	}
	return s.Reply.JSON(c, http.StatusOK, out)
}

// GetTagsRefine counts the tags of the references that a filter lets through.
func (s *Service) GetTagsRefine(c echo.Context) error {
	owner, err := s.Assets.Owner(c)
	if err != nil {
		return err
	}
	f := checkQuery(c, false)
	filter, lists := f.assetFilter()
	filter.Owner = owner
	limit := f.integer("limit", 100, 1, 1000)
	if f.errs != nil {
		return s.invalid(c, f, "INVALID_QUERY", "Validation failed.")
	}
	if e := resolveTags(&filter, lists); e != nil {
		return s.assetError(c, http.StatusBadRequest, "INVALID_TAG_FILTER", e.message, e.details)
	}
	tags, err := s.Library.TagsOf(c.Request().Context(), filter, limit)
	if err != nil {
		return s.assetProblem(c, err, nil)
	}
	counts := pyjson.NewObject()
	for _, t := range tags {
		counts.Set(t.Name, t.Count)
	}
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("tag_counts", counts))
}

// GetTags lists all tags.
func (s *Service) GetTags(c echo.Context) error {
	owner, err := s.Assets.Owner(c)
	if err != nil {
		return err
	}
	f := checkQuery(c, true)
	sent := map[string]string{}
	for name, v := range f.values {
		sent[name] = v[0]
		f.values[name] = []string{strings.TrimSpace(v[0])}
	}
	q := assets.TagQuery{Owner: owner}
	if v := f.text("prefix"); v != nil {
		q.Prefix = *v
		switch n := utf8.RuneCountInString(*v); {
		case n < 1:
			f.wrong("string_too_short", "String should have at least 1 character", sent["prefix"], pyjson.NewObject("min_length", 1), "prefix")
		case n > 256:
			f.wrong("string_too_long", "String should have at most 256 characters", sent["prefix"], pyjson.NewObject("max_length", 256), "prefix")
		}
	}
	q.Limit = f.integer("limit", 100, 1, 1000)
	q.Offset = f.integer("offset", 0, 0, 10_000_000)
	q.ByName = f.choice("order", "count_desc", "count_desc", "name_asc") == "name_asc"
	q.Unused = f.boolean("include_zero", true)
	if f.errs != nil {
		return s.invalid(c, f, "INVALID_QUERY", "Invalid query parameters")
	}
	tags, total, err := s.Library.Tags(c.Request().Context(), q)
	if err != nil {
		return s.assetProblem(c, err, nil)
	}
	list := make([]any, len(tags))
	for i, t := range tags {
		list[i] = pyjson.NewObject("name", t.Name, "count", t.Count)
	}
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("tags", list, "total", total, "has_more", q.Offset+int64(len(list)) < total))
}

// assetObjects describes references as clients get them.
func (s *Service) assetObjects(c echo.Context, items []assets.Item) ([]any, error) {
	var ids []string
	for _, it := range items {
		if it.PreviewID != "" {
			ids = append(ids, it.PreviewID)
		}
	}
	slices.Sort(ids)
	previews, err := s.Library.Previews(c.Request().Context(), slices.Compact(ids))
	if err != nil {
		return nil, err
	}
	out := make([]any, len(items))
	for i, it := range items {
		out[i] = s.assetObject(it, previews)
	}
	return out, nil
}

// assetObject describes a reference. Unknown fields are omitted.
func (s *Service) assetObject(it assets.Item, previews map[string]string) *pyjson.Object {
	out := pyjson.NewObject("id", it.ID, "name", it.Name)
	add := func(key, value string) {
		if value != "" {
			out.Set(key, value)
		}
	}
	add("hash", it.Asset.Hash)
	if it.Path != "" {
		_, display, _ := s.Library.Place(it.Path)
		add("loader_path", it.Loader)
		add("display_name", display)
	}
	add("asset_hash", it.Asset.Hash)
	out.Set("size", it.Asset.Size)
	add("mime_type", it.Asset.MIME)
	out.Set("tags", it.Tags)
	switch {
	case it.PreviewID != "":
		add("preview_url", s.viewURL(previews[it.PreviewID]))
	case showsItself(it):
		add("preview_url", s.viewURL(it.Path))
	}
	add("preview_id", it.PreviewID)
	out.Set("user_metadata", finite(pyjson.NewObject().Merge(it.User))).Set("is_immutable", false)
	if it.System != nil {
		out.Set("metadata", finite(it.System))
	}
	add("job_id", it.JobID)
	add("prompt_id", it.JobID)
	return out.Set("created_at", it.Created.ISO()).Set("updated_at", it.Updated.ISO()).Set("last_access_time", it.Accessed.ISO())
}

// finite is a value with null for numbers that JSON has no word for.
func finite(v any) any {
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = finite(e)
		}
		return out
	case *pyjson.Object:
		out := pyjson.NewObject()
		for k, e := range v.All() {
			out.Set(k, finite(e))
		}
		return out
	}
	return v
}

// showsItself reports whether a browser can show the content as it is.
func showsItself(it assets.Item) bool {
	t := it.Asset.MIME
	if t == "" {
		t = reply.GuessType(it.Path)
	}
	return slices.ContainsFunc([]string{"image/", "video/", "audio/", "text/"}, func(kind string) bool { return strings.HasPrefix(reply.BareType(t), kind) })
}

// viewURL returns the URL at which /view shows a file, or "" if it does not.
func (s *Service) viewURL(path string) string {
	if path == "" {
		return ""
	}
	namespace, name, ok := s.Library.Place(path)
	if !ok || namespace == "models" || name == "" {
		return ""
	}
	sub, file := "", name
	if at := strings.LastIndexByte(name, '/'); at >= 0 {
		sub, file = name[:at], name[at+1:]
	}
	link := "/api/view?type=" + namespace + "&filename=" + reply.Quoted(file)
	if sub != "" {
		link += "&subfolder=" + reply.Quoted(sub)
	}
	return link
}

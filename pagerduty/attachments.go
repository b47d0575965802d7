package pagerduty

import "strings"

// links returns the links PagerDuty takes, in their order. One without href
// would get the whole event refused, and one that is not of the web leads nowhere
// or, as javascript: does, runs in the browser of who clicks on it.
func (r *repairer) links(links []Link) []Link {
	if len(links) == 0 {
		return nil
	}
	kept := make([]Link, 0, len(links))
	for _, link := range links {
		fixed := Link{Href: cleanURL(link.Href), Text: clean(link.Text, true)}
		switch {
		case fixed.Href == "":
			r.note("links", "one without href left out")
			continue
		case !isWebURL(fixed.Href):
			r.note("links", "one whose href is not http or https left out")
			continue
		case fixed != link:
			r.note("links", "white space, invalid UTF-8 or control characters replaced")
		}
		kept = append(kept, fixed)
	}
	return kept
}

// images returns the images PagerDuty takes, in their order: those with a src
// that is served over HTTPS.
func (r *repairer) images(images []Image) []Image {
	if len(images) == 0 {
		return nil
	}
	kept := make([]Image, 0, len(images))
	for _, image := range images {
		fixed := Image{Src: httpsURL(cleanURL(image.Src)), Href: cleanURL(image.Href), Alt: clean(image.Alt, true)}
		if fixed.Href != "" && !isWebURL(fixed.Href) {
			r.note("images", "an href that is not http or https left out")
			fixed.Href, image.Href = "", ""
		}
		switch {
		case cleanURL(image.Src) == "":
			r.note("images", "one without src left out")
			continue
		case fixed.Src == "":
			r.note("images", "one whose src is not https left out")
			continue
		case fixed != image:
			r.note("images", "white space, invalid UTF-8 or control characters replaced")
		}
		kept = append(kept, fixed)
	}
	return kept
}

func cleanURL(s string) string { return strings.TrimSpace(clean(s, true)) }

// httpsURL returns src if it is an https URL, with the scheme in lower case,
// and otherwise nothing.
func httpsURL(src string) string {
	scheme, rest, _ := strings.Cut(src, "://")
	if !strings.EqualFold(scheme, "https") || !isWebURL(src) {
		return ""
	}
	return "https://" + rest
}

// isWebURL reports whether s is an http or https URL with a host. It does not
// look at the rest: a browser opens many a URL that net/url does not read.
func isWebURL(s string) bool {
	scheme, rest, _ := strings.Cut(s, "://")
	host, _, _ := strings.Cut(rest, "/")
	return (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")) && host != ""
}

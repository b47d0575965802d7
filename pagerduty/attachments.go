package pagerduty

import "strings"

// links returns the links that PagerDuty takes, in their order. PagerDuty refuses the whole event
// for a link without href. A link that is not http or https is useless or, with javascript:, runs
// in the browser of whoever clicks on it.
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

// images returns the images that PagerDuty takes, in their order: those whose src is https.
func (r *repairer) images(images []Image) []Image {
	if len(images) == 0 {
		return nil
	}
	kept := make([]Image, 0, len(images))
	for _, image := range images {
		fixed := Image{
			Src: httpsURL(cleanURL(image.Src)), Href: cleanURL(image.Href), Alt: clean(image.Alt, true),
		}
		if fixed.Href != "" && !isWebURL(fixed.Href) {
			r.note("images", "an href that is not http or https left out")
			fixed.Href, image.Href = "", ""
		}
		switch {
		case fixed.Src == "":
			r.note("images", "one whose src is missing or not https left out")
			continue
		case fixed != image:
			r.note("images", "white space, invalid UTF-8 or control characters replaced")
		}
		kept = append(kept, fixed)
	}
	return kept
}

func cleanURL(s string) string { return strings.TrimSpace(clean(s, true)) }

// httpsURL returns src if it is an https URL, with the scheme in lower case, and otherwise "".
func httpsURL(src string) string {
	scheme, rest, _ := strings.Cut(src, "://")
	if !strings.EqualFold(scheme, "https") || !isWebURL(src) {
		return ""
	}
	return "https://" + rest
}

// isWebURL reports whether s is an http or https URL with a host. It does not check the rest:
// browsers open URLs that net/url cannot parse.
func isWebURL(s string) bool {
	scheme, rest, _ := strings.Cut(s, "://")
	host, _, _ := strings.Cut(rest, "/")
	return (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")) && host != ""
}

package simulated

import (
	"net/http"
	"slices"
)

// domain is one of the service's domains.
type domain struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Type       string `json:"type"`
	Exportable bool   `json:"exportable"`
	Enabled    bool   `json:"enabled"`
}

// The real service has about twenty, with these ids.
var domains = []domain{
	{"ee85a74c-405e-4adc-bb47-ffa8ca0c9f31", "General", "Classification", false, true},
	{"0732100f-1a38-4e49-a514-c9b44c697ab5", "General (compact)", "Classification", true, true},
	{"da2e3a8a-40a5-4171-82f4-58522f70fbc1", "General", "ObjectDetection", false, true},
}

// domain returns the id of the domain that everything is trained on.
func (s *Service) domain() string {
	if s.config.Kind == Detection {
		return domains[2].ID
	}
	return domains[0].ID
}

// classificationType is set for a detector too, as in recordings of the service.
func (s *Service) classificationType() any {
	switch {
	case s.config.ClassificationType == "null":
		return nil
	case s.config.ClassificationType != "":
		return s.config.ClassificationType
	case s.config.Kind == Multiclass:
		return "Multiclass"
	}
	return "Multilabel"
}

func (s *Service) handleDomains() {
	for _, version := range versions {
		path := "GET /customvision/" + version + "/training/domains"
		s.mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { answer(w, domains) })
		s.mux.HandleFunc(path+"/{domain}", func(w http.ResponseWriter, r *http.Request) {
			i := slices.IndexFunc(domains, func(d domain) bool { return d.ID == r.PathValue("domain") })
			if i < 0 {
				refuse(w, http.StatusNotFound, "NotFoundDomain", "Invalid domain id")
				return
			}
			answer(w, domains[i])
		})
	}
}

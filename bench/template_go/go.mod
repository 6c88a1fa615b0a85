module tocsin/bench/template_go

go 1.19

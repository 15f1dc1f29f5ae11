# What R's packages need for the same statistics; run by bench_statistics.py with Rscript where R is installed.
# Writes one CSV: name, peer, against, n, seconds, note. Bootstraps run at B <= 200, scaled to B = 10,000 and labelled so.
arguments <- commandArgs(trailingOnly = TRUE)
cohort <- read.csv(arguments[1])
large <- read.csv(arguments[2])
target <- 10000

row <- function(name, package, against, n, note, work, replicates = NA) {
  if (!requireNamespace(package, quietly = TRUE)) {
    return(data.frame(name, peer = package, against, n, seconds = NA, note = "not measured: not installed"))
  }
  seconds <- system.time(suppressMessages(suppressWarnings(work())))[["elapsed"]]
  if (!is.na(replicates)) seconds <- seconds * target / replicates
  data.frame(name, peer = paste(package, packageVersion(package)), against, n, seconds, note)
}

curves <- function(films) {
  lapply(films[c("scratch", "transfer")], function(score) {
    pROC::roc(films$label, score, levels = c(0, 1), direction = "<", quiet = TRUE)
  })
}

rms_loop <- function(replicates) { # Brier score, calibration intercept and slope of both arms in resampled cohorts
  set.seed(0)
  malignant <- which(cohort$label == 1)
  normal <- which(cohort$label == 0)
  for (k in seq_len(replicates)) {
    rows <- c(sample(malignant, replace = TRUE), sample(normal, replace = TRUE))
    for (arm in c("scratch", "transfer")) rms::val.prob(cohort[[arm]][rows], cohort$label[rows], pl = FALSE)
  }
}

n <- nrow(cohort)
rows <- rbind(
  row("proc_bootstrap", "pROC", "joint_bootstrap_743", n, "AUC difference only; B = 200, scaled to 10,000", function() {
    pair <- curves(cohort)
    pROC::roc.test(pair[[1]], pair[[2]], method = "bootstrap", boot.n = 200, boot.stratified = TRUE, progress = "none")
  }, 200),
  row("rms_bootstrap", "rms", "joint_bootstrap_743", n,
      "Brier score, calibration intercept and slope of two arms only; B = 100, scaled to 10,000",
      function() rms_loop(100), 100),
  row("proc_delong_1m", "pROC", "delong_1m", nrow(large), "the same scores as our row", function() {
    pair <- curves(large)
    pROC::roc.test(pair[[1]], pair[[2]], method = "delong", paired = TRUE)
  })
)
write.csv(rows, row.names = FALSE)

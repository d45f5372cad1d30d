# Prints dvc.lock without the entries of training stages. Stages stand two spaces deep.
/^[^ ]/ { keep = 1 }
/^  [^ ]/ { keep = !/^  (base|train|evaluate)@/ }
keep

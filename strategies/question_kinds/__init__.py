"""The kinds of questions, by what they are about; :mod:`strategies.questions` has them all."""

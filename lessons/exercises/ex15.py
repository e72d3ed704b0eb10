"""Exercise 15: predict before you run. Eight questions about the next token.

Think, write what you expect, then check with: minift learn check 15
Two digits behind the point are enough. `math.exp` and `math.log` may help.
"""


def read_and_asked():
    """A row is "banana", each letter a token. What does the model read, and what is it asked for?

    Return two strings of equal length: letter t of the second is the right answer of the row t of
    scores, which has read the first up to letter t.
    """
    raise NotImplementedError("exercise 15: what is read, and what is asked?")


def loss_without_the_shift():
    """Somebody forgot the shift: row t of the scores is compared with token t itself.

    After long training the model gives probability 1 to the token that it has just read. Which loss
    does the program print, in nats?
    """
    raise NotImplementedError("exercise 15: what does the program without the shift print?")


def right_answers_of_that_model():
    """This model always says "the last token once more". The right program asks it "coffee".

    Of how many of the 5 questions is its answer right?
    """
    raise NotImplementedError("exercise 15: how many answers are right?")


def rows_that_may_change():
    """A text of 8 tokens, 0 to 7, goes through a model with a causal mask. Then token 5 is changed.

    In how many of the 8 rows of scores can anything change?
    """
    raise NotImplementedError("exercise 15: how many rows can change?")


def loss_of_three_tokens():
    """Three tokens got the probabilities 1/2, 1/2 and 1/4. What is the loss, in nats a token?"""
    raise NotImplementedError("exercise 15: what is the loss of three tokens?")


def perplexity_of_that():
    """And what is the perplexity?"""
    raise NotImplementedError("exercise 15: what is the perplexity?")


def loss_of_the_most_uncertain():
    """V = 50. A model was trained to maximise its entropy, with success (E45). What is its loss?"""
    raise NotImplementedError("exercise 15: what is the loss of the most uncertain model?")


def probability_at_a_temperature():
    """Two tokens have the scores 2 and 0. The temperature is 2. How probable is the first?"""
    raise NotImplementedError("exercise 15: how probable is the first token?")
